"""Gives a wheel a build tag: its name is taken, and the bytes behind a name never change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from master.errors import FarmError


class RetagError(FarmError):
    """`wheel tags` didn't make the wheel that it was asked for."""


def with_build_tag(wheel: Path, filename: str, number: int, folder: Path) -> Path:
    """A copy of the wheel in the folder, with the build tag in its name, WHEEL and RECORD.

    filename is what the wheel is to be called without the tag. Raises RetagError.
    """
    original = folder / filename
    original.hardlink_to(wheel)
    done = subprocess.run(
        [sys.executable, "-m", "wheel", "tags", "--build", str(number), "--remove", str(original)],
        capture_output=True,
        text=True,
        check=False,
    )
    found = [path for path in folder.iterdir() if path.suffix == ".whl"]
    if done.returncode or len(found) != 1 or found[0] == original:
        raise RetagError(
            f"{filename} can't be given the build tag {number}: {done.stderr.strip()[-300:]}"
        )
    return found[0]
