"""What the index has of a project: plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

SDIST_SUFFIXES = (".tar.gz", ".zip")
"""What is built, best first. PEP 527 ended all others."""


@dataclass(frozen=True)
class UpstreamFile:
    filename: str
    kind: str
    """sdist or wheel."""
    url: str
    sha256: str | None
    size_bytes: int | None
    uploaded_at: datetime | None
    yanked: bool
    yanked_reason: str | None
    requires_python: str | None


@dataclass(frozen=True)
class UpstreamVersion:
    version: str
    """As PEP 440 normalises it."""
    files: tuple[UpstreamFile, ...]

    @property
    def yanked(self) -> bool:
        """All that it has is yanked (PEP 592)."""
        return bool(self.files) and all(file.yanked for file in self.files)

    @property
    def yanked_reason(self) -> str | None:
        reasons = [file.yanked_reason for file in self.files if file.yanked_reason]
        return reasons[0] if self.yanked and reasons else None

    @property
    def released_at(self) -> datetime | None:
        times = [file.uploaded_at for file in self.files if file.uploaded_at]
        return min(times, default=None)

    @property
    def requires_python(self) -> str | None:
        """Of its sdist, or of any other file where there is none."""
        sdist = best_sdist(self.files)
        return (sdist or self.files[0]).requires_python if self.files else None


@dataclass(frozen=True)
class UpstreamProject:
    name: str
    versions: tuple[UpstreamVersion, ...]
    ignored: tuple[str, ...] = ()
    """Files and versions that can't be used, each with the reason."""
    insecure: tuple[str, ...] = ()
    """Of these, the names of files whose address isn't https."""
    serial: int | None = None
    """Of the page, which grows with each change; None where the index gives none."""
    is_final: bool = False
    """That there is nothing is meant: it is quarantined (PEP 792), or deleted."""


def from_plain(raw: Mapping[str, Any]) -> UpstreamProject:
    """Return the project that asdict() made plain, with its times in ISO 8601."""

    def file(one: Mapping[str, Any]) -> UpstreamFile:
        when = one["uploaded_at"]
        return UpstreamFile(**{**one, "uploaded_at": when and datetime.fromisoformat(when)})

    versions = tuple(
        UpstreamVersion(version["version"], tuple(file(one) for one in version["files"]))
        for version in raw["versions"]
    )
    return UpstreamProject(**{**raw, "versions": versions})


def best_sdist(files: Iterable[UpstreamFile]) -> UpstreamFile | None:
    """Return the sdist to build, .tar.gz before .zip; None where there is none."""
    sdists = [file for file in files if file.kind == "sdist"]
    return min(sdists, key=lambda file: (file.yanked, _rank(file.filename)), default=None)


def _rank(filename: str) -> int:
    return [filename.endswith(suffix) for suffix in SDIST_SUFFIXES].index(True)
