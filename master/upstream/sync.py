"""Bring what the index says of a project into the database, and queue what is new.

Each project is one transaction, whether a sync reads ten of them or all there are. Those that would
take something off the site wait until all are read: a page alone doesn't tell a deleted project
from an index, a cache or a proxy that has lost its mind.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from master.database import connection as db
from master.database import notes
from master.database.connection import Connection
from master.jobs import policy
from master.names import project_name
from master.targets.tags import Target
from master.text import count
from master.upstream import project, sql
from master.upstream.model import UpstreamProject
from master.upstream.project import LossError, OddProjectError, Synced
from master.upstream.pypi import (
    BadPageError,
    Index,
    IndexUnreachableError,
    UnknownProjectError,
    UnreadablePageError,
)

UNREACHABLE_LIMIT = 3
"""After as many projects in a row the index is down: it's no use to wait for it once for each."""
BAD_PAGES_LIMIT = 100
"""After as many in a row it's another server that answers, for all of them."""
PROGRESS_EVERY_S = 5.0


@dataclass(frozen=True)
class _Read:
    """What the index has said of a project."""

    upstream: UpstreamProject
    spelling: str | None
    error: str | None = None
    """What there is to say of it though it is stored: that the index has deleted it."""


def follow(
    conn: Connection,
    spellings: Sequence[str],
    *,
    targets: Sequence[Target],
    now: datetime,
    check: bool = False,
) -> list[str]:
    """Follow these projects and no others, whatever the index says of them.

    Return the names of those of which jobs for the targets have left the queue by it. With check,
    nothing is written. Raises BadNameError and db.BusyError.
    """
    names = [project_name(spelling) for spelling in spellings]
    db.lock(conn, db.Lock.SYNC)
    with db.transaction(conn, dry_run=check) as cursor:
        cursor.execute(sql.FOLLOW, {"names": names})
        return policy.drop(cursor, targets, now)


def projects(
    conn: Connection,
    index: Index,
    spellings: Sequence[str],
    *,
    targets: Sequence[Target],
    newest: int | None,
    now: datetime,
    max_loss: float | None = None,
    followed: bool = True,
    check: bool = False,
) -> dict[str, Synced]:
    """Sync each project; what one of them lacks is in its error, and stops none of the others.

    newest is how many of a project's newest versions get jobs, None for all. max_loss is which
    share of what the farm has, from 0 to 1, may vanish; if more would, those projects stay as they
    are, but for one version, or one project that the index says is gone, which are believed unless
    the farm has nothing else. None is to believe whatever the index says. followed says that the
    farm follows these, as follow() notes; without it a known one stays what it is, and a new one
    isn't followed. With check, nothing is written. Raises BadNameError and db.BusyError.
    """
    by_name = {project_name(spelling): spelling for spelling in spellings}
    db.lock(conn, db.Lock.SYNC)
    progress = _Progress(conn, index, len(by_name), now, check=check)
    losses = _Losses(conn, max_loss)
    store = partial(
        _store,
        conn,
        targets=targets,
        newest=newest,
        now=now,
        followed=followed,
        believe=max_loss is None,
        check=check,
    )
    done: dict[str, Synced] = {}
    progress.tell(0)
    for name, read in _reads(conn, index, by_name):
        if isinstance(read, Synced):
            done[name] = read
        else:
            try:
                done[name] = store(read, may_lose=max_loss is None)
            except LossError as error:
                losses.add(name, read, error.versions)
        progress.tell(len(done) + len(losses.versions))
    held = losses.objection(index.url)
    if held:
        # First, as what is said of all may have no room for more than one.
        done = {**dict.fromkeys(losses.versions, Synced(error=held)), **done}
    else:
        for name, read in losses.reads.items():
            done[name] = store(read, may_lose=True)
    if not check:
        _note(conn, done, now)
    return done


def _reads(
    conn: Connection, index: Index, by_name: Mapping[str, str]
) -> Iterator[tuple[str, _Read | Synced]]:
    """Yield what the index says of each project, or why there is nothing to store of it."""
    unreachable = bad_pages = 0
    for name, spelling in by_name.items():
        if unreachable >= UNREACHABLE_LIMIT or bad_pages >= BAD_PAGES_LIMIT:
            yield name, Synced(error=f"not tried, as the index {index.url} can't be read")
            continue
        try:
            upstream = index.project(name)
        except IndexUnreachableError as error:
            unreachable += 1
            yield name, Synced(error=str(error))
            continue
        except UnreadablePageError as error:
            unreachable = 0
            bad_pages += isinstance(error, BadPageError)
            yield name, Synced(error=str(error))
            continue
        except UnknownProjectError as error:
            read = _deleted(conn, name, str(error))
            yield name, read
            if isinstance(read, Synced):
                continue
        else:
            yield name, _Read(upstream, spelling)
        unreachable = bad_pages = 0


def _deleted(conn: Connection, name: str, why: str) -> _Read | Synced:
    if not project.is_known(conn, name):
        return Synced(error=why)
    # Its wheels stay in the store, for the day on which it comes back.
    why += "; what the farm has of it is not offered any longer"
    return _Read(UpstreamProject(name, (), is_final=True), None, why)


def _store(conn: Connection, read: _Read, **options: Any) -> Synced:
    try:
        synced = project.store(conn, read.upstream, read.spelling, **options)
    except OddProjectError as error:
        return Synced(error=str(error))
    return replace(synced, error=read.error or synced.error)


class _Progress:
    """Tells those who ask for the farm's state how far a sync is."""

    def __init__(
        self, conn: Connection, index: Index, projects: int, now: datetime, *, check: bool
    ) -> None:
        self._conn = conn
        self._projects = projects
        self._began = now
        self._check = check
        self._told_s = float("-inf")
        with db.transaction(conn) as cursor:
            if not check:
                cursor.execute(sql.FORGET_SERIALS, {"url": index.url})
                notes.note(cursor, "index_url", index.url, now)

    def tell(self, read: int) -> None:
        if self._check or time.monotonic() - self._told_s < PROGRESS_EVERY_S:
            return
        self._told_s = time.monotonic()
        with db.transaction(self._conn) as cursor:
            words = f"{read} of {self._projects} projects read"
            notes.note(cursor, "sync_began", words, self._began)


class _Losses:
    """The projects of a sync that would take something off the site, until all are read."""

    def __init__(self, conn: Connection, max_loss: float | None) -> None:
        self._conn = conn
        self._max_loss = max_loss
        self._total: int | None = None
        self.versions: dict[str, int] = {}
        """How many each would take."""
        self.reads: dict[str, _Read] = {}
        """Not kept once it's too much: that can be all of a large index."""

    def add(self, name: str, read: _Read, versions: int) -> None:
        self.versions[name] = versions
        self.reads[name] = read
        if self._is_too_much():
            self.reads.clear()

    def objection(self, url: str) -> str | None:
        """Return why nothing of it is done, None when there is nothing to object."""
        if not self._is_too_much():
            return None
        some = ", ".join(sorted(self.versions)[:3])
        more = f" and {len(self.versions) - 3} more" if len(self.versions) > 3 else ""
        return (
            f"held back: by what the index {url} says, {sum(self.versions.values())} of the "
            f"{self._total} versions that the farm has would vanish ({some}{more}), and "
            f"farm_pypi_max_loss_percent is {100 * (self._max_loss or 0):g}: the farm keeps them. "
            f"See what the index has of these projects; if it is right, run ansible-playbook "
            f"playbooks/sync.yml -e sync_accept_losses=true"
        )

    def _is_too_much(self) -> bool:
        if self._max_loss is None or not self.versions:
            return False
        if self._total is None:
            with db.transaction(self._conn) as cursor:
                cursor.execute(sql.HOW_MANY, {"project_id": None})
                self._total = int(cursor.fetchone().versions)
        lost = sum(self.versions.values())
        if lost == self._total:
            return True
        # One project that the index says is gone, or one version, is believed on a small farm too.
        is_told = len(self.versions) == 1 and all(r.upstream.is_final for r in self.reads.values())
        return lost > max(1, self._max_loss * self._total) and not (self.reads and is_told)


def errors(done: Mapping[str, Synced]) -> list[str]:
    """Return what went wrong, one line for all projects of which the same is to be said."""
    return list(dict.fromkeys(synced.error for synced in done.values() if synced.error))


def totals(done: Mapping[str, Synced]) -> dict[str, int]:
    """Return how many projects were to be read, how many failed, and what came of the others."""
    counts = ("new_versions", "queued", "ignored", "lost")
    return {
        "projects": len(done),
        "failed": sum(synced.error is not None for synced in done.values()),
        **{name: sum(getattr(synced, name) for synced in done.values()) for name in counts},
    }


def failure(done: Mapping[str, Synced]) -> str | None:
    """Return what went wrong in one line, None when nothing has."""
    lines = errors(done)
    if not lines:
        return None
    failed = sum(synced.error is not None for synced in done.values())
    how_many = "no project" if failed == len(done) else f"{failed} of {len(done)} projects"
    could = "could be synced" if failed == len(done) else "could not be synced"
    more = f" (and {count(len(lines) - 1, 'other error')})" if len(lines) > 1 else ""
    return f"{how_many} {could}: {lines[0]}{more}"


def _note(conn: Connection, done: Mapping[str, Synced], now: datetime) -> None:
    why = failure(done)
    good = sum(synced.error is None for synced in done.values())
    with db.transaction(conn) as cursor:
        if why:
            notes.note(cursor, "last_sync_error", why, now)
        if good or not done:
            notes.note(cursor, "last_sync", f"{good} projects", now)
