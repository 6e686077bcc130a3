"""Colours of the sweep's pictures, the same in both kinds, apart for colour-blind readers (Okabe and Ito, 2008)."""

from __future__ import annotations

BLUE = "#0072B2"
ORANGE = "#D55E00"
INK = "#222222"
GREY = "#6F6F6F"
PALE = "#D9D9D9"

# From worse to better, by lightness, so that it holds in grey: the pale ones recede.
WORSE_TO_BETTER = ("#DCE9F3", "#8FBBD9", "#3E8BBF", "#00507D", "#00263D")
