"""Lease jobs to builders: one transaction for the whole fleet."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import dropwhile
from typing import Any

from master.config import Config
from master.database import connection as db
from master.database import notes
from master.database.connection import Connection, Cursor
from master.fleet import sql
from master.jobs import transitions
from master.jobs.policy import ASKED_FOR
from protocol import VERSION, report
from protocol import job as jobs
from protocol.job import Job, Sdist
from protocol.key import Key


@dataclass(frozen=True)
class Handout:
    """What one builder is told in this round."""

    builder: str
    protocol: int
    """The version of the protocol in which it is told."""
    jobs: list[dict[str, Any]]
    """Leased to it and not seen in its spool yet."""
    leased: list[str]
    """Keys of all that it holds, those of jobs among them."""
    revoke: list[str]
    """Keys of what it shall give back unless it has begun."""


@dataclass(frozen=True)
class Claims:
    handouts: list[Handout]
    leased: int
    """How many jobs this claim has leased."""
    paused: str | None
    """Why nothing is leased at all, when that is so."""
    left_out: str | None
    """Which builders get nothing, since their target isn't known here."""


def claim(
    conn: Connection,
    config: Config,
    now: datetime,
    fleet: Mapping[str, str] | None = None,
    *,
    check: bool = False,
) -> Claims:
    """Lease what is pending to every builder whose spool is low.

    fleet is the inventory, as the target of each builder: who is new is taken up, who isn't in it
    any more gives its jobs back; None leaves the fleet as it is. A builder that is missing,
    refuses or is paused is talked to and gets nothing. With check, nothing is written. Raises
    db.BusyError.
    """
    paused, left_out = no_room(config), None
    # Two claims at once would both fill the same spool.
    db.lock(conn, db.Lock.CLAIM)
    with db.transaction(conn, dry_run=check) as cursor:
        if fleet is not None:
            left_out = _register(cursor, fleet, now)
        cursor.execute(sql.BUILDERS, {"now": now})
        builders: list[Any] = cursor.fetchall()
        leased = 0
        _take_back(cursor, [b for b in builders if b.paused_at])
        if paused is None:
            leased = _lease(cursor, config.spool_depth, builders, now)
        notes.note(cursor, "claims_paused", paused or "", now)
        handouts = _handouts(cursor, [b.name for b in builders if b.due])
    return Claims(handouts, leased, paused, left_out)


def no_room(config: Config) -> str | None:
    """Return why results couldn't be stored, when the disk of the master is nearly full."""
    free = shutil.disk_usage(config.state_dir).free
    if free >= config.min_free_bytes:
        return None
    return (
        f"{config.state_dir} on the master has {free >> 20} MiB left, and min_free_bytes asks for "
        f"{config.min_free_bytes >> 20} MiB: no jobs are handed out until there is room again"
    )


def _register(cursor: Cursor, fleet: Mapping[str, str], now: datetime) -> str | None:
    """Make the builders those of the fleet; return why some are left out."""
    cursor.execute("SELECT name FROM targets WHERE active")
    known = {row.name for row in cursor.fetchall()}
    unknown = sorted(set(fleet.values()) - known)
    fit = {name: target for name, target in fleet.items() if target in known}
    bound = {"targets": json.dumps(fit), "now": now}
    cursor.execute(sql.HELD_BY_MOVED, bound)
    moved = [row.job_id for row in cursor.fetchall()]
    transitions.give_back(cursor, moved, "its builder moved or retired", now)
    cursor.execute(sql.REGISTER, bound)
    cursor.execute(sql.RETIRE, bound)
    if not unknown:
        return None
    return (
        f"{', '.join(sorted(fleet.keys() - fit.keys()))} would build for {', '.join(unknown)}, "
        f"which the farm doesn't know, and gets no jobs: run ansible-playbook site.yml for the "
        f"master too, which brings it the releases of the inventory"
    )


def _lease(cursor: Cursor, depth: int, builders: Sequence[Any], now: datetime) -> int:
    fleets: defaultdict[int, list[Any]] = defaultdict(list)
    for builder in builders:
        fleets[builder.target_id].append(builder)
    _bring_forward(cursor, builders)
    cursor.execute(sql.WAKE, {"now": now})
    leased = 0
    for target_id, fleet in sorted(fleets.items()):
        ready = [b for b in fleet if b.due and not (b.missing_since or b.refuses or b.paused_at)]
        if ready:
            # There are others to build it.
            _take_back(cursor, [b for b in fleet if b.refuses])
        # The emptiest spools first, so that few jobs are spread widely.
        slots = sorted(
            (place, b.name, b.builder_id) for b in ready for place in range(b.held, depth)
        )
        # What was asked for by name doesn't wait until a full spool has room.
        extra = [(depth, b.name, b.builder_id) for b in ready if b.held == depth]
        cursor.execute(sql.PICK, {"target_id": target_id, "limit": len(slots) + len(extra)})
        picked = cursor.fetchall()
        urgent = sum(row.priority >= ASKED_FOR for row in picked)
        job_ids = [row.job_id for row in picked[: max(len(slots), urgent)]]
        taken = (slots + extra)[: len(job_ids)]
        transitions.lease(cursor, job_ids, [b for _, _, b in taken], now)
        leased += len(job_ids)
        if len(job_ids) < len(slots):
            got = {builder_id for _, _, builder_id in taken}
            idle = [b for b in ready if b.held == 0 and b.builder_id not in got]
            _revoke(cursor, fleet, len(idle))
    return leased


def _bring_forward(cursor: Cursor, builders: Sequence[Any]) -> None:
    """Ask for jobs back that were named after they were leased, and wait behind others.

    A spool keeps the order in which its jobs came. Given back, they are leased again, to its front.
    """
    cursor.execute(sql.LEASED_FIRST, {"priority": ASKED_FOR})
    named = {row.job_id for row in cursor.fetchall()}
    for builder in builders if named else ():
        said = report.read(builder.report)
        queued = said.queued if said else ()
        for key in dropwhile(lambda key: key.job_id in named, queued):
            if key.job_id in named:
                cursor.execute(sql.REVOKE, _lease_of(builder, key))


def _take_back(cursor: Cursor, builders: Sequence[Any]) -> None:
    """Ask builders for all that they haven't begun."""
    for builder in builders:
        said = report.read(builder.report)
        started = [key.job_id for key in said.started] if said else []
        bound = {"builder_id": builder.builder_id, "started": started}
        cursor.execute(sql.REVOKE_UNSTARTED, bound)


def _revoke(cursor: Cursor, fleet: Sequence[Any], idle: int) -> None:
    """Ask the busiest for a job back, one for each idle builder that none is on its way to."""
    wanted = idle - sum(b.revoking for b in fleet)
    for builder, keys in _spare(fleet):
        if wanted <= 0:
            return
        for key in keys:
            cursor.execute(sql.REVOKE, _lease_of(builder, key))
            if cursor.rowcount:
                wanted -= 1
                break


def _spare(fleet: Sequence[Any]) -> list[tuple[Any, list[Key]]]:
    """Return who is busy, and which jobs each can give back by its last report, last ones first.

    One that builds nothing yet will start its first job in a moment, so that stays with it.
    """
    found = []
    for builder in fleet:
        said = report.read(builder.report)
        if said is None or builder.missing_since or builder.held < 2:
            continue
        keys = said.queued if said.running else said.queued[1:]
        if keys:
            found.append((builder, list(reversed(keys))))
    return sorted(found, key=lambda one: (-len(one[1]), one[0].name))


def _lease_of(builder: Any, key: Key) -> dict[str, Any]:
    return {"job_id": key.job_id, "attempt": key.attempt, "builder_id": builder.builder_id}


def _handouts(cursor: Cursor, due: Sequence[str]) -> list[Handout]:
    cursor.execute(sql.LEASES)
    leases: defaultdict[str, list[Any]] = defaultdict(list)
    for lease in cursor.fetchall():
        leases[lease.builder].append(lease)
    return [
        Handout(
            builder=name,
            protocol=VERSION,
            jobs=[_job(x) for x in leases[name] if x.handed_at is None and not x.revoking],
            leased=[_key(x) for x in leases[name] if not x.revoking],
            revoke=[_key(x) for x in leases[name] if x.revoking],
        )
        for name in due
    ]


def _key(lease: Any) -> str:
    return str(Key(lease.target, lease.job_id, lease.attempt))


def _job(lease: Any) -> dict[str, Any]:
    sdist = Sdist(lease.filename, lease.url, lease.sha256, lease.size_bytes)
    key = _key(lease)
    return jobs.dump(
        Job(key, lease.project, lease.version, lease.target, sdist, priority=lease.priority)
    )
