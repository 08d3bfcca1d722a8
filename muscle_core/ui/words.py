"""Texts of what several pages share. Every page has a `words.py` of its own in its folder, for a translation to follow.

A text is a constant, or a function where it holds values; what comes from data is made safe by the caller with `plain`.
"""

from __future__ import annotations

NUMBERS_CSV = "Numbers (CSV)"
DOWNLOAD = "Download"
IMAGE_PNG = "Image (PNG)"
IMAGE_SVG = "Image (SVG)"
