"""The log of a build, kept within a limit."""

from __future__ import annotations

import os
from pathlib import Path


def trimmed(path: Path, limit_bytes: int) -> bytes:
    """Return the log at `path` in at most `limit_bytes`.

    A quarter is kept from the head (what was built, with what) and the rest from the tail (how it
    ended). A log that isn't there is empty.
    """
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return b""
    with stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        if size <= limit_bytes:
            return stream.read(limit_bytes)
        note = f"\n[... about {size - limit_bytes} bytes left out ...]\n".encode()
        room = max(limit_bytes - len(note), 0)
        head = stream.read(room // 4)
        stream.seek(size - (room - room // 4))
        tail = stream.read(room - room // 4)
        return (head + note + tail)[:limit_bytes]
