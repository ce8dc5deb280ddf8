"""The farm at one moment, as read.py reads it and render.py tells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from protocol.report import Rootfs

State = Literal["building", "idle", "missing", "paused", "refuses", "new"]


@dataclass(frozen=True)
class Counts:
    """Jobs of one target, by state."""

    pending: int = 0
    leased: int = 0
    built: int = 0
    failed: int = 0
    skipped: int = 0


@dataclass(frozen=True)
class Running:
    project: str
    version: str
    for_s: float


@dataclass(frozen=True)
class Builder:
    name: str
    target: str
    state: State
    running: Running | None
    queued: int
    """Leased jobs that it has not started."""
    last_seen_at: datetime | None
    missing_since: datetime | None
    refuses: str | None
    paused_at: datetime | None
    paused_reason: str | None
    rootfs: Rootfs | None
    """As it said when it was last seen."""


@dataclass(frozen=True)
class Waiting:
    """Jobs of one target that wait for their sdists, and the first of them to be tried again."""

    jobs: int
    project: str
    version: str
    retry_at: datetime
    tries: int
    """Which try that one will be."""
    reason: str


@dataclass(frozen=True)
class TargetResult:
    """What a run has done for one target."""

    built: int
    failed: int
    skipped: int
    wheels: int
    duration_s: float
    """Of its builds, one after the other."""


@dataclass(frozen=True)
class Failure:
    project: str
    version: str
    target: str
    reason: str


@dataclass(frozen=True)
class Remaining:
    """What a run still has to do for one target."""

    jobs: int
    expected_s: float | None
    """Of building those that don't wait one after the other; None when nothing is known of any."""
    waiting: int = 0
    """Those of them whose sdists couldn't be fetched, and whose time hasn't come."""


@dataclass(frozen=True)
class Run:
    """The jobs that one build.yml asked for."""

    since: datetime
    left: dict[str, Remaining]
    """By target, those with jobs pending or leased."""
    unpublished: int
    """Projects with results of this run whose pages were not carried yet."""
    results: dict[str, TargetResult]
    failures: tuple[Failure, ...]

    @property
    def outstanding(self) -> int:
        return sum(left.jobs for left in self.left.values())


@dataclass(frozen=True)
class Note:
    """One line of sync_state."""

    value: str
    updated_at: datetime


@dataclass(frozen=True)
class Ignored:
    """What of a project's page on the index can't be used."""

    project: str
    count: int
    lines: tuple[str, ...]
    """The first few, each with the reason."""


@dataclass(frozen=True)
class Info:
    now: datetime
    site_url: str
    lost_after_s: float
    targets: dict[str, Counts]
    builders: tuple[Builder, ...]
    waiting: dict[str, Waiting]
    """By target, those with such jobs; of the run, where there is one."""
    notes: dict[str, Note]
    is_syncing: bool
    ignored: tuple[Ignored, ...]
    """Of all projects, when it was asked for."""
    stale: tuple[str, ...]
    """The first that the site doesn't show as they are: projects, then files that must leave it."""
    run: Run | None
