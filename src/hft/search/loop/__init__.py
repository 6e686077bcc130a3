"""The sweep loop: `sweep` asks, starts, tells; `journal` and `sweep_folder` are what of it is on disk."""
