"""One run from its start to its end: what it computes with, its objects, its training, its record, its progress."""
