"""The site's files on the master's disk: each is there whole or not at all.

The tree holds, relative to its root: simple/PROJECT/, files/PROJECT/, project/PROJECT/ and the root
pages. A name is written beside its place and renamed; what a kill leaves of that is unwanted,
as everything is that no page of its project names.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Set
from pathlib import Path

from master import files

PROJECT_FOLDERS = ("simple", "files", "project")


class StoreBrokenError(Exception):
    """A recorded wheel is not in the store; the message names it and the way out."""


def write(root: Path, name: str, content: bytes, *, sync: bool = False) -> bool:
    """Have a file hold this content; return whether it had to be written.

    An unchanged file keeps its time, so that rsync passes over it. sync waits for the disk.
    """
    path = root / name
    if _content(path) == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, content, sync=sync)
    return True


def link(root: Path, name: str, source: Path) -> bool:
    """Have a file be a hard link to one in the store; return whether it had to be made.

    Raises StoreBrokenError when the source is missing.
    """
    path = root / name
    # rename(2) of two links to one file does nothing, and would leave the new name behind.
    if path.exists() and source.exists() and path.samefile(source):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    new = files.beside(path)
    new.unlink(missing_ok=True)
    try:
        new.hardlink_to(source)
    except FileNotFoundError as error:
        raise StoreBrokenError(
            f"{source} is recorded and not in the store: restore it from a backup"
        ) from error
    new.replace(path)
    return True


def unwanted(root: Path, project: str, wanted: Iterable[str]) -> list[str]:
    """Return what in a project's folders isn't wanted; a folder without wanted files as a whole.

    Folders come after their content, so that the list can be removed in its order.
    """
    keep = set(wanted)
    for name in tuple(keep):
        keep.update(str(parent) for parent in Path(name).parents)
    found: list[str] = []
    for folder in PROJECT_FOLDERS:
        for place, folders, names in os.walk(root / folder / project, topdown=False):
            within = Path(place).relative_to(root)
            found.extend(str(within / name) for name in sorted([*names, *folders]))
            if within.name == project:
                found.append(str(within))
    return [name for name in found if name not in keep]


def strangers(root: Path, known: Set[str]) -> set[str]:
    """Return the projects that have anything in the tree, and are none of these."""
    found: set[str] = set()
    for folder in PROJECT_FOLDERS:
        try:
            names = {entry.name for entry in os.scandir(root / folder)} - known
        except FileNotFoundError:
            continue
        found.update(name for name in names if (root / folder / name).is_dir())
    return found


def count_folders(root: Path, name: str) -> int:
    """Return how many folders are in a folder."""
    try:
        return sum(entry.is_dir() for entry in os.scandir(root / name))
    except FileNotFoundError:
        return 0


def remove(root: Path, names: Iterable[str]) -> None:
    """Remove files and folders; one that is gone already is fine."""
    for name in names:
        files.remove(root / name)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
