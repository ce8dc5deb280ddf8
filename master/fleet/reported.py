"""What a builder says, as the master shows it."""

from __future__ import annotations


def line(raw: object, longest: int = 500) -> str:
    """A builder's words as one line of printable text."""
    text = raw if isinstance(raw, str) else ""
    words = " ".join(text[: 4 * longest].split())
    plain = "".join(c if c.isprintable() else "?" for c in words)
    return plain if len(plain) <= longest else plain[: longest - 1] + "…"
