"""The one exception of everything that looks a wheel through."""

from __future__ import annotations


class WheelRefusedError(Exception):
    """The wheel isn't fit to be published; the message says why, in one line."""
