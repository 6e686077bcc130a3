"""What a sweep shows and leaves behind: `result_files` in its folder, `live_table` and `summary` in the terminal."""
