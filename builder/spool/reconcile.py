"""Making the spool agree with what the master says, and the report that goes back.

The master names every job that this builder holds a lease of. What it doesn't name is recorded or
given to somebody else: finished results of such jobs are acknowledged, unstarted ones withdrawn.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Optional

from builder import __version__, files
from builder.config import Config
from builder.spool import status
from builder.spool.held import hold
from builder.spool.spool import Snapshot, Spool
from protocol import fields
from protocol import key as keys
from protocol.job import Job
from protocol.report import Report, Rootfs, Running

_SERVICE = "wheelyard-builder.service"
# The master says its time before it knocks at a Pi, and gives up on it after a minute.
_CLOCKS_DIFFER_MAX = timedelta(minutes=5)


@dataclass(frozen=True)
class Changes:
    """What must change in a spool, as keys; `add` as jobs."""

    add: tuple[Job, ...] = ()
    acknowledge: tuple[str, ...] = ()
    withdraw: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.add or self.acknowledge or self.withdraw)


def plan(
    spool: Snapshot, jobs: Sequence[Job], leased: Collection[str], revoke: Collection[str]
) -> Changes:
    """Return what makes `spool` agree. What is being built is left alone, whatever is said."""
    named = {job.key for job in jobs}
    keep = named.union(leased, revoke)
    queued = [job.key for job in spool.queued]
    return Changes(
        add=tuple(job for job in jobs if job.key not in spool.keys and job.key not in revoke),
        acknowledge=tuple(key for key in spool.done if key not in keep),
        withdraw=tuple(key for key in queued if key in revoke or key not in keep),
    )


def after(spool: Snapshot, changes: Changes) -> Snapshot:
    """Return `spool` as it is once `changes` are made."""
    queued = tuple(job for job in spool.queued if job.key not in changes.withdraw)
    return Snapshot(
        queued=queued + tuple(hold(job, 0.0) for job in changes.add),
        running=spool.running,
        done=tuple(key for key in spool.done if key not in changes.acknowledge),
    )


def apply(spool: Spool, changes: Changes) -> Optional[str]:
    """Make `changes`; return None, or "disk full …" when there was no room for all jobs.

    Room is made before it is needed, and a job that has none isn't half written: the report
    doesn't show it, so the master gives it to another builder.
    """
    try:
        for key in changes.acknowledge:
            spool.acknowledge(key)
        for key in changes.withdraw:
            spool.withdraw(key)
        for job in changes.add:
            spool.add(job)
    except files.DiskFullError as error:
        return str(error)
    return None


def report(config: Config, spool: Snapshot, service: str, refuses: Optional[str] = None) -> Report:
    """Return what the master is told: what is in the spool, and whether more may come."""
    free = files.free_bytes(config.spool_dir)
    return Report(
        queued=tuple(keys.read(job.key) for job in spool.queued),
        running=tuple(Running(keys.read(job.key), _time(job.started_at)) for job in spool.running),
        done=tuple(keys.read(key) for key in spool.done),
        refuses=refuses or refusal(config, free, service),
        free_bytes=free,
        service=service,
        version=__version__,
        rootfs=rootfs(config),
    )


def rootfs(config: Config) -> Optional[Rootfs]:
    """Return what the rootfs says of itself, or None while there is none."""
    try:
        said = json.loads(config.rootfs_marker.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    failed = _state(f"wheelyard-rootfs@{config.release.name}.service") == "failed"
    return Rootfs(said["digest"], fields.time(said["made_at"]), failed)


def refusal(config: Config, free_bytes: int, service: str) -> Optional[str]:
    """Return why this builder should get no jobs, or None: the worst first."""
    if service not in ("active", "reloading"):
        return f"{_SERVICE} is {service}: see journalctl -u {_SERVICE} on the Pi"
    return low_disk(config, free_bytes) or status.read(config.status_path)


def wrong_clock(master: str, here: datetime) -> Optional[str]:
    """Return that the clock of this Pi, which says `here`, isn't right, in words, or None.

    `master` is the time there, in ISO 8601 with its offset from UTC; raises ValueError.
    """
    there = datetime.strptime(master, "%Y-%m-%dT%H:%M:%S%z")
    if abs(here - there) <= _CLOCKS_DIFFER_MAX:
        return None
    return (
        f"its clock says {_utc(here)}, and the master's {_utc(there)}: see timedatectl on the one "
        "that is wrong; where no time server is reached, name one in /etc/systemd/timesyncd.conf, "
        "or set the clock by timedatectl set-ntp false and timedatectl set-time"
    )


def _utc(time: datetime) -> str:
    return f"{time.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"


def low_disk(config: Config, free_bytes: int) -> Optional[str]:
    """Return that the disk of the spool is nearly full, in words, or None."""
    if free_bytes >= config.min_free_bytes:
        return None
    return (
        f"disk full: {free_bytes >> 20} MiB are free at {config.spool_dir}, and "
        f"{config.min_free_bytes >> 20} MiB are needed; remove something from the Pi"
    )


def service_state() -> str:
    """Return what systemd says of the builder service, e.g. `active`."""
    return _state(_SERVICE)


def _state(unit: str) -> str:
    answer = subprocess.run(
        ["systemctl", "is-active", unit], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() or "unknown"


def _time(seconds: Optional[float]) -> Optional[datetime]:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)
