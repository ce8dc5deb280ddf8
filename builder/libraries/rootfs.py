"""The release's tree as a source of facts: which file is a library, and which package it's from."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Optional

_LINKS_MAX = 40


class Rootfs:
    """Reads a tree from outside, as if it were /."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._owners: Optional[dict[str, str]] = None
        self._folders: Optional[tuple[str, ...]] = None

    def library(self, soname: str) -> Optional[str]:
        """Return where the loader would find `soname`, as a path inside the tree, or None."""
        if not soname or "/" in soname or soname.startswith("."):
            return None
        for folder in self.library_folders():
            path = f"{folder}/{soname}"
            if os.path.lexists(self.root / path.lstrip("/")):
                return path
        return None

    def library_folders(self) -> tuple[str, ...]:
        """Return the folders that ld.so.conf(5) names, then the default ones (ld.so(8))."""
        if self._folders is None:
            named = self._configured("/etc/ld.so.conf")
            self._folders = (*dict.fromkeys([*named, "/lib", "/usr/lib"]),)
        return self._folders

    def _configured(self, path: str) -> list[str]:
        folders: list[str] = []
        try:
            lines = (self.root / path.lstrip("/")).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return folders
        for line in lines:
            words = line.split("#", 1)[0].split()
            if not words:
                continue
            if words[0] == "include":
                pattern = words[1].lstrip("/")
                for included in sorted(self.root.glob(pattern)):
                    folders += self._configured(str(included.relative_to(self.root)))
            elif words[0].startswith("/"):
                folders.append(words[0].rstrip("/"))
        return folders

    def package_of(self, path: str) -> Optional[str]:
        """Return the apt package that ships the file at `path`, or None.

        The link itself is asked for first, then what it points at. On a merged-/usr system dpkg
        may know a file as /lib/X while its real path is /usr/lib/X, or the other way round.
        """
        owners = self._owned()
        for name in (path, self.resolve(path)):
            if name is None:
                continue
            other = name[4:] if name.startswith("/usr/") else f"/usr{name}"
            owner = owners.get(name) or owners.get(other)
            if owner:
                return owner
        return None

    def _owned(self) -> dict[str, str]:
        if self._owners is None:
            self._owners = {}
            for listing in sorted((self.root / "var/lib/dpkg/info").glob("*.list")):
                package = listing.stem.split(":", 1)[0]
                for path in listing.read_text(encoding="utf-8", errors="replace").splitlines():
                    if ".so" in path:
                        self._owners.setdefault(path, package)
        return self._owners

    def resolve(self, path: str) -> Optional[str]:
        """Return `path` without links, all inside the tree: an absolute link starts at its root."""
        parts = list(PurePosixPath(path).parts[1:])
        done: list[str] = []
        links = 0
        while parts:
            part = parts.pop(0)
            if part == "..":
                done = done[:-1]
                continue
            place = self.root.joinpath(*done, part)
            if place.is_symlink():
                links += 1
                if links > _LINKS_MAX:
                    return None
                target = PurePosixPath(place.readlink())
                if target.is_absolute():
                    done = []
                    target = target.relative_to("/")
                parts = [*target.parts, *parts]
                continue
            done.append(part)
        return "/" + "/".join(done)
