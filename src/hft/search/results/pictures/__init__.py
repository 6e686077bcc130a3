"""The pictures of a sweep: `data` and `axes` say what is shown, `drawing` has it drawn. Imported only to draw."""
