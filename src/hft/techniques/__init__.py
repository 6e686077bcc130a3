"""Techniques: which weights move."""

from hft.techniques.full import FullFineTuning

__all__ = ["FullFineTuning"]
