"""What is kept on disk between epochs, trials, processes and runs: entries by content, under one disk budget."""

from hft.stores.folder import StoreEntry, StoreFolder
from hft.stores.keys import digest, text_keys

__all__ = ["StoreEntry", "StoreFolder", "digest", "text_keys"]
