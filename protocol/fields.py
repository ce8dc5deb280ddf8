"""Reading the fields of a message strictly: what isn't as agreed raises MessageError."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Optional

from protocol import MessageError


def mapping(raw: object, what: str) -> Mapping[str, Any]:
    """Return `raw` if it is an object of JSON."""
    if not isinstance(raw, Mapping):
        raise MessageError(f"{what} is not an object")
    return raw


def version(document: Mapping[str, Any]) -> int:
    """Return the version of the protocol in which `document` is written."""
    return integer(document.get("protocol", 1), "protocol")


def text(raw: object, what: str) -> str:
    """Return `raw` if it is text, and not empty."""
    if not isinstance(raw, str) or not raw:
        raise MessageError(f"{what} is missing, or not text")
    return raw


def integer(raw: object, what: str) -> int:
    """Return `raw` if it is a whole number that PostgreSQL can hold, and not negative."""
    if isinstance(raw, bool) or not isinstance(raw, int) or not 0 <= raw < 1 << 63:
        raise MessageError(f"{what} is not a valid number")
    return int(raw)


def time(raw: object) -> Optional[datetime]:
    """Return the time that ISO 8601 says, or None: a Pi's clock may say anything, or nothing."""
    try:
        said = datetime.fromisoformat(raw) if isinstance(raw, str) else None
    except ValueError:
        return None
    return said.replace(tzinfo=said.tzinfo or timezone.utc) if said else None


def iso(when: Optional[datetime]) -> Optional[str]:
    """Return the time in ISO 8601, or None for none."""
    return when.isoformat() if when else None


def one_line(words: object, longest: int = 500) -> str:
    """Return what may be a stranger's words as one line of printable text; empty if it is none."""
    said = words if isinstance(words, str) else ""
    # No more of it than shows: it can be as long as strangers like.
    printable = "".join(c if c.isprintable() else " " for c in said[: 4 * longest])
    line = " ".join(printable.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
