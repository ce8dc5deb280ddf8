"""Gives a wheel a build tag: its name is taken, and the bytes behind a name never change."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

from master.reported import line


class RetagError(Exception):
    """`wheel tags` didn't make the wheel that it was asked for."""


def with_build_tag(wheel: Path, filename: str, dist_info: str, number: int, folder: Path) -> Path:
    """A copy of the wheel in the folder, with the build tag in its name, WHEEL and RECORD.

    filename is what the wheel is to be called without a build tag of ours, dist_info the folder of
    its METADATA. Raises RetagError, and OSError when the disk is full.
    """
    project, version, *_, interpreter, abi, platform = filename.split("-")
    # `wheel tags` looks for the folder that a wheel's name spells, and its author's may differ.
    rest = filename.removeprefix(f"{project}-{version}-")
    original = folder / f"{dist_info.removesuffix('.dist-info')}-{rest}"
    original.hardlink_to(wheel)
    done = subprocess.run(
        [sys.executable, "-m", "wheel", "tags", "--build", str(number), "--remove", str(original)],
        capture_output=True,
        text=True,
        check=False,
    )
    if os.strerror(errno.ENOSPC) in done.stderr:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    found = [path for path in folder.iterdir() if path.suffix == ".whl"]
    if done.returncode or len(found) != 1 or found[0] == original:
        raise RetagError(
            f"{filename} can't be given the build tag {number}: {line(done.stderr[-300:])}"
        )
    return found[0].rename(folder / f"{project}-{version}-{number}-{interpreter}-{abi}-{platform}")
