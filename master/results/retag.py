"""Gives a wheel another name: one that no other bytes have, or one that fewer Pythons take."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

from master.text import one_line


class RetagError(Exception):
    """`wheel tags` didn't make the wheel that it was asked for."""


def retagged(wheel: Path, filename: str, dist_info: str, new: str, folder: Path) -> Path:
    """A copy of the wheel in the folder, called new, whose WHEEL and RECORD say so, too.

    filename is what it is called until now, dist_info the folder of its METADATA. The two names may
    differ in build tag and interpreter tags. Raises RetagError, and OSError when the disk is full.
    """
    project, version, *_ = filename.split("-")
    # `wheel tags` looks for the folder that a wheel's name spells, and its author's may differ.
    rest = filename.removeprefix(f"{project}-{version}-")
    original = folder / f"{dist_info.removesuffix('.dist-info')}-{rest}"
    original.hardlink_to(wheel)
    _, _, *build, interpreter, _abi, _platform = new.split("-")
    tags = ["--python-tag", interpreter, *(f"--build={tag}" for tag in build)]
    done = subprocess.run(
        [sys.executable, "-m", "wheel", "tags", *tags, "--remove", str(original)],
        capture_output=True,
        text=True,
        check=False,
    )
    if os.strerror(errno.ENOSPC) in done.stderr:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    found = [path for path in folder.iterdir() if path.suffix == ".whl"]
    if done.returncode or len(found) != 1 or found[0] == original:
        raise RetagError(f"{filename} can't be made {new}: {one_line(done.stderr[-300:])}")
    return found[0].rename(folder / new)
