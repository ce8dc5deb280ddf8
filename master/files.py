"""Files and folders on the master's disk: written whole or not at all, and removed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def write(path: Path, content: bytes, *, sync: bool = True) -> None:
    """Have a file hold this content; a kill leaves it whole or not at all. Raises OSError.

    sync waits for the disk, so that a power cut does no more than a kill.
    """
    new = beside(path)
    try:
        with new.open("wb") as file:
            file.write(content)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        # On the web host another user serves it.
        new.chmod(0o644)
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    if sync:
        sync_folder(path.parent)


def beside(path: Path) -> Path:
    """Return where a file is made before it's renamed to path."""
    # One name a file: a second attempt after a kill writes over the first one's leftover.
    return path.with_name(f".{path.name}.new")


def sync_folder(folder: Path) -> None:
    """Wait until the disk has what came into the folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file, a folder with all in it, a link itself, or nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
