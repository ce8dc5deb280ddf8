"""A project as the site shows it: plain values, read once from the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from packaging.version import Version as Pep440

State = Literal["pending", "building", "built", "failed", "skipped"]


@dataclass(frozen=True)
class Target:
    """What wheels are built for, named after its release (PEP 425)."""

    name: str
    python_version: str
    platform_tag: str


@dataclass(frozen=True)
class Wheel:
    """A wheel in the store."""

    filename: str
    target: str
    """Of the build that made it; its tags may serve others too."""
    size_bytes: int
    sha256: str
    metadata_sha256: str
    requires_python: str | None
    """As its METADATA has it (PEP 345)."""
    uploaded_at: datetime
    apt_packages: tuple[str, ...] = ()
    not_armv6: str | None = None
    """Which file in it keeps it off the Pis with an ARMv6 processor, and why."""


@dataclass(frozen=True)
class Build:
    """One attempt at a job."""

    build_id: int
    target: str
    attempt: int
    status: Literal["built", "failed"]
    reason: str | None
    started_at: datetime | None
    finished_at: datetime
    duration_s: float | None
    log_size_bytes: int | None
    """Of its log's text; None when there is no log, as of a builder that was lost."""


@dataclass(frozen=True)
class Job:
    """Where a version stands for one target."""

    target: str
    state: State
    reason: str | None = None


@dataclass(frozen=True)
class Version:
    version: str
    yanked: bool = False
    yanked_reason: str | None = None
    requires_python: str | None = None
    present: bool = True
    """PyPI still has files of it; what it removed is no longer offered here either."""
    jobs: tuple[Job, ...] = ()
    wheels: tuple[Wheel, ...] = ()
    builds: tuple[Build, ...] = ()

    @property
    def offered(self) -> tuple[Wheel, ...]:
        """The wheels that the index lists, by file name."""
        if not self.present:
            return ()
        return tuple(sorted(self.wheels, key=lambda wheel: wheel.filename))

    def job(self, target: str) -> Job | None:
        """Return the job for a target, or None when none was ever planned."""
        return next((job for job in self.jobs if job.target == target), None)

    def wheels_for(self, target: str) -> tuple[Wheel, ...]:
        """Return the offered wheels that a target's builders made."""
        return tuple(wheel for wheel in self.offered if wheel.target == target)

    def log_of(self, target: str) -> Build | None:
        """Return the latest attempt for a target that left a log."""
        builds = [
            build
            for build in self.builds
            if build.target == target and build.log_size_bytes is not None
        ]
        return max(builds, key=lambda build: build.attempt, default=None)


@dataclass(frozen=True)
class Project:
    name: str
    """Normalised (PEP 503)."""
    display_name: str
    versions: tuple[Version, ...] = ()
    known_targets: tuple[Target, ...] = ()
    """All of the farm's."""

    @property
    def targets(self) -> tuple[Target, ...]:
        """Those that it was ever planned for."""
        planned = {job.target for version in self.newest_first for job in version.jobs}
        return tuple(target for target in self.known_targets if target.name in planned)

    @property
    def offered(self) -> tuple[Version, ...]:
        """The versions that the index lists, oldest first (PEP 440)."""
        return tuple(
            sorted(
                (version for version in self.versions if version.offered),
                key=lambda version: Pep440(version.version),
            )
        )

    @property
    def removed(self) -> bool:
        """PyPI had versions of it and has none any longer."""
        return bool(self.versions) and not any(version.present for version in self.versions)

    @property
    def newest_first(self) -> tuple[Version, ...]:
        """The versions that people are told of: planned, built, or once built."""
        if self.removed:
            return ()
        return tuple(
            sorted(
                (version for version in self.versions if version.jobs or version.builds),
                key=lambda version: Pep440(version.version),
                reverse=True,
            )
        )

    def best_for(self, target: str) -> Wheel | None:
        """Return the wheel that pip most likely takes on a target: newest, final, unyanked."""
        candidates = [
            (Pep440(version.version), wheel)
            for version in self.offered
            if not version.yanked
            for wheel in version.wheels_for(target)
        ]
        newest = max(
            candidates,
            key=lambda pair: (not pair[0].is_prerelease, pair[0], pair[1].uploaded_at),
            default=None,
        )
        return newest[1] if newest else None


@dataclass(frozen=True)
class RecentBuild:
    """A line of the start page."""

    project: str
    version: str
    target: str
    status: Literal["built", "failed"]
    reason: str | None
    recorded_at: datetime


@dataclass(frozen=True)
class TargetCount:
    """How far a target's jobs are."""

    target: Target
    built: int = 0
    failed: int = 0
    skipped: int = 0
    waiting: int = 0
    """Pending and leased."""


@dataclass(frozen=True)
class Farm:
    """What the start page shows."""

    counts: tuple[TargetCount, ...] = ()
    recent: tuple[RecentBuild, ...] = ()
