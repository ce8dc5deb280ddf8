"""What can go wrong in ways that an operator can put right."""

from __future__ import annotations


class FarmError(Exception):
    """The message names the thing, the cause and the way out; modules show it as it is."""
