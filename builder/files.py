"""Writing so that a power cut leaves the old file or the new one, never half of one."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from builder import PiTroubleError

_FULL = (errno.ENOSPC, errno.EDQUOT)


class DiskFullError(PiTroubleError):
    """There is no room for what was to be written."""


def is_full(error: OSError) -> bool:
    """Return whether `error` says that a disk or a quota is full."""
    return error.errno in _FULL


@contextmanager
def room() -> Iterator[None]:
    """Raise DiskFullError in place of what a full disk raises inside."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise DiskFullError(f"disk full: {error}; remove something from the Pi") from error


def free_bytes(path: Path) -> int:
    """Return the bytes that an unprivileged user can still write beside `path`."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def sync_dir(path: Path) -> None:
    """Make the renames in directory `path` durable (fsync(2) of a file doesn't)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_synced(path: Path, content: bytes) -> None:
    """Write a new file and make its content durable; its name isn't until sync_dir()."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def write_json(path: Path, document: Any, temporary: Path) -> None:
    """Put `document` at `path` at once, by way of `temporary` on the same file system."""
    try:
        write_synced(temporary, json.dumps(document, indent=1).encode())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_dir(path.parent)


def remove(path: Path) -> None:
    """Remove a file or a tree, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
