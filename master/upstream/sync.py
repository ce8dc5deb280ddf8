"""Brings what the index says of a project into the database, and queues what is new.

Each project is one transaction, whether a sync reads ten of them or all there are. Those that would
take something off the site wait until all are read: a page alone doesn't tell a deleted project
from an index, a cache or a proxy that has lost its mind.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import psycopg2

from master.database import connection as db
from master.database import notes
from master.database.connection import Connection, Cursor
from master.errors import FarmError
from master.jobs import policy
from master.names import project_name
from master.targets.tags import Target
from master.text import one_line
from master.upstream import sql
from master.upstream.pypi import (
    BadPageError,
    Index,
    IndexUnreachableError,
    UnknownProjectError,
    UnreadablePageError,
    UpstreamProject,
)

UNREACHABLE_LIMIT = 3
"""After as many projects in a row the index is down: it's no use to wait for it once for each."""
BAD_PAGES_LIMIT = 100
"""After as many in a row it's another server that answers, for all of them."""
PROGRESS_EVERY_S = 5.0
IGNORED_SHOWN = 10


class OddProjectError(FarmError):
    """What the index says of a project can't be stored, or is not believed."""


class EmptyPageError(OddProjectError):
    """A project's page lists nothing, where there was something: not believed the first time."""


class LossError(FarmError):
    """A project's page would take something off the site."""

    def __init__(self, versions: int) -> None:
        super().__init__(f"{versions} versions would vanish")
        self.versions = versions


@dataclass(frozen=True)
class Synced:
    """What a sync did to one project."""

    versions: int = 0
    """That the index has."""
    new_versions: int = 0
    changed: bool = False
    queued: int = 0
    ignored: int = 0
    """Files and versions that can't be used."""
    lost: int = 0
    """Versions that the farm had, and offers no longer."""
    error: str | None = None


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
    """Has the farm follow these projects and no others, whatever the index says of them.

    Returns the names of those of which jobs for the targets have left the queue by it. With check,
    nothing is written. Raises BadNameError and db.BusyError.
    """
    names = [project_name(spelling) for spelling in spellings]
    db.hold(conn, db.Lock.SYNC)
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
    """Syncs each project; what one of them lacks is in its error, and stops none of the others.

    newest is how many of a project's newest versions get jobs, None for all. max_loss is which
    share of what the farm has, from 0 to 1, may vanish; if more would, by two projects or more or
    by the farm's only one, those projects stay as they are. None is any share. followed says that
    the farm follows these, as follow() notes; without it a known one stays what it is, and a new
    one isn't followed. With check, nothing is written. Raises BadNameError and db.BusyError.
    """
    by_name = {project_name(spelling): spelling for spelling in spellings}
    db.hold(conn, db.Lock.SYNC)
    progress = _Progress(conn, index, len(by_name), now, check=check)
    losses = _Losses(conn, max_loss)
    done: dict[str, Synced] = {}

    def store(name: str, read: _Read, *, may_lose: bool) -> None:
        try:
            synced = project(
                conn,
                read.upstream,
                read.spelling,
                targets=targets,
                newest=newest,
                now=now,
                followed=followed,
                may_lose=may_lose,
                check=check,
            )
            done[name] = replace(synced, error=read.error or synced.error)
        except LossError as error:
            losses.add(name, read, error.versions)
        except OddProjectError as error:
            done[name] = Synced(error=str(error))

    unreachable = bad_pages = 0
    for name, spelling in by_name.items():
        progress.tell(len(done) + len(losses.versions))
        if unreachable >= UNREACHABLE_LIMIT or bad_pages >= BAD_PAGES_LIMIT:
            done[name] = Synced(error=f"not tried, as the index {index.url} can't be read")
            continue
        try:
            read = _Read(index.project(name), spelling)
        except UnknownProjectError as error:
            why = str(error)
            if not _is_known(conn, name):
                done[name] = Synced(error=why)
                continue
            # Its wheels stay in the store, for the day on which it comes back.
            why += "; what the farm has of it is not offered any longer"
            read = _Read(UpstreamProject(name, (), is_final=True), None, why)
        except IndexUnreachableError as error:
            unreachable += 1
            done[name] = Synced(error=str(error))
            continue
        except UnreadablePageError as error:
            unreachable = 0
            bad_pages += isinstance(error, BadPageError)
            done[name] = Synced(error=str(error))
            continue
        unreachable = bad_pages = 0
        store(name, read, may_lose=max_loss is None)
    held = losses.objection(index.url)
    if held:
        # First, as what is said of all may have no room for more than one.
        done = {**dict.fromkeys(losses.versions, Synced(error=held)), **done}
    else:
        for name, read in losses.reads.items():
            store(name, read, may_lose=True)
    if not check:
        _note(conn, done, now)
    return done


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
        """Why nothing of it is done, None when there is nothing to object."""
        if not self._is_too_much():
            return None
        some = ", ".join(sorted(self.versions)[:3])
        more = f" and {len(self.versions) - 3} more" if len(self.versions) > 3 else ""
        return (
            f"held back: by what the index {url} says, {sum(self.versions.values())} of the "
            f"{self._total} versions that the farm has would vanish ({some}{more}), and "
            f"pypi_max_loss_percent is {100 * (self._max_loss or 0):g}: the farm keeps them. See "
            f"what the index has of these projects; if it is right, run ansible-playbook "
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
        # One project alone may well have been deleted, unless the farm has no other.
        is_one_of_many = len(self.versions) == 1 and lost < self._total
        return lost > self._max_loss * self._total and not is_one_of_many


def _is_known(conn: Connection, name: str) -> bool:
    with db.transaction(conn) as cursor:
        cursor.execute(sql.KNOWN, {"name": name})
        return cursor.fetchone() is not None


def _versions_of(cursor: Cursor, project_id: int) -> set[int]:
    """The versions that the farm has of a project."""
    cursor.execute(sql.HAS, {"project_id": project_id})
    return {row.version_id for row in cursor.fetchall()}


def errors(done: Mapping[str, Synced]) -> list[str]:
    """What went wrong, one line for all projects of which the same is to be said."""
    return list(dict.fromkeys(synced.error for synced in done.values() if synced.error))


def failure(done: Mapping[str, Synced]) -> str | None:
    """What went wrong in one line, None when nothing has."""
    lines = errors(done)
    if not lines:
        return None
    failed = sum(synced.error is not None for synced in done.values())
    how_many = "no project" if failed == len(done) else f"{failed} of {len(done)} projects"
    could = "could be synced" if failed == len(done) else "could not be synced"
    more = f" (and {len(lines) - 1} more like this)" if len(lines) > 1 else ""
    return f"{how_many} {could}: {lines[0]}{more}"


def _note(conn: Connection, done: Mapping[str, Synced], now: datetime) -> None:
    why = failure(done)
    good = sum(synced.error is None for synced in done.values())
    with db.transaction(conn) as cursor:
        if why:
            notes.note(cursor, "last_sync_error", why, now)
        if good or not done:
            notes.note(cursor, "last_sync", f"{good} projects", now)


def gone(
    conn: Connection,
    name: str,
    *,
    targets: Sequence[Target],
    now: datetime,
    check: bool = False,
) -> None:
    """Stores that the index has the project no longer, if the farm ever knew it."""
    if _is_known(conn, name):
        nothing = UpstreamProject(name, (), is_final=True)
        project(conn, nothing, None, targets=targets, newest=None, now=now, check=check)


def project(
    conn: Connection,
    upstream: UpstreamProject,
    spelling: str | None,
    *,
    targets: Sequence[Target],
    newest: int | None,
    now: datetime,
    followed: bool = True,
    may_lose: bool = True,
    check: bool = False,
) -> Synced:
    """Stores one project in one transaction, and queues what the targets want of it.

    spelling is its author's; None leaves what is known. followed says that the farm follows it;
    without it a known one stays what it is, and one that isn't followed gets no jobs. Raises
    OddProjectError, and LossError unless it may lose something, with the project as it was.
    """
    try:
        with db.transaction(conn, dry_run=check) as cursor:
            synced = write(
                cursor,
                upstream,
                spelling,
                targets=targets,
                newest=newest,
                now=now,
                followed=followed,
            )
            if synced.lost and not may_lose:
                raise LossError(synced.lost)
    except EmptyPageError:
        with db.transaction(conn, dry_run=check) as cursor:
            doubt(cursor, upstream.name, now)
        raise
    return synced


def doubt(cursor: Cursor, name: str, now: datetime) -> None:
    """Remember that a project's page was empty, so that the next one that is will be believed."""
    cursor.execute(sql.EMPTY, {"name": name, "now": now})


def write(
    cursor: Cursor,
    upstream: UpstreamProject,
    spelling: str | None,
    *,
    targets: Sequence[Target],
    newest: int | None,
    now: datetime,
    followed: bool,
) -> Synced:
    """What project() does, in a transaction of the caller's. Raises OddProjectError."""
    with _storable(upstream.name):
        _check_that_it_is_news(cursor, upstream)
        cursor.execute(
            sql.PROJECT, {"name": upstream.name, "display_name": spelling, "followed": followed}
        )
        project_id, is_followed = cursor.fetchone()
        had = _versions_of(cursor, project_id)
        versions = upstream.versions
        bound = {
            "project_id": project_id,
            "version": [v.version for v in versions],
            "released_at": [v.released_at for v in versions],
            "yanked": [v.yanked for v in versions],
            "yanked_reason": [v.yanked_reason for v in versions],
            "requires_python": [v.requires_python for v in versions],
        }
        cursor.execute(sql.VERSIONS, bound)
        written = cursor.fetchall()
        cursor.execute(sql.VERSIONS_GONE, bound)
        changed = len(written) + cursor.rowcount
        changed += _files(cursor, project_id, upstream)
        cursor.execute(sql.WITHDRAW, {"project_id": project_id, "now": now})
        changed += cursor.rowcount
        newest = newest if followed or is_followed else 0
        planned = policy.project(cursor, project_id, targets, newest, now)
        cursor.execute(
            sql.SYNCED,
            {
                "project_id": project_id,
                "now": now,
                "changed": bool(changed or planned.changed),
                "serial": upstream.serial,
                "ignored": [one_line(text) for text in upstream.ignored[:IGNORED_SHOWN]],
                "ignored_count": len(upstream.ignored),
            },
        )
        return Synced(
            versions=len(versions),
            new_versions=sum(row.is_new for row in written),
            changed=bool(changed or planned.changed),
            queued=planned.queued,
            ignored=len(upstream.ignored),
            lost=len(had - _versions_of(cursor, project_id)),
            error=_insecure(upstream),
        )


def _check_that_it_is_news(cursor: Cursor, upstream: UpstreamProject) -> None:
    """Raises OddProjectError for a page that is older than the last one, or that has lost all."""
    cursor.execute(sql.KNOWN, {"name": upstream.name})
    known = cursor.fetchone()
    if known is None:
        return
    if None not in (upstream.serial, known.serial) and upstream.serial < known.serial:
        raise OddProjectError(
            f"the index answers for {upstream.name} with an older page than before (serial "
            f"{upstream.serial}, and {known.serial} was seen): a cache on the way is behind. The "
            f"farm keeps what it knows; the next sync tries again"
        )
    is_suspicious = known.has_any and not upstream.versions and not upstream.is_final
    if is_suspicious and known.empty_since is None:
        raise EmptyPageError(
            f"the index lists nothing of {upstream.name} any more, and doesn't say why: the farm "
            f"keeps what it has of it. If the next sync finds the same, that is believed"
        )


@contextmanager
def _storable(name: str) -> Iterator[None]:
    """Tells what the database or a parser refuses of a project. Raises OddProjectError."""
    try:
        yield
    except (psycopg2.DataError, psycopg2.IntegrityError, ValueError) as error:
        # The server's words have the whole row in them, which is as long as strangers like.
        cause = one_line(str(error), 300)
        raise OddProjectError(
            f"what the index says of {name} can't be stored ({cause}): the farm keeps "
            f"what it knew of it. See its page on the index; the next sync tries again"
        ) from error


def _insecure(upstream: UpstreamProject) -> str | None:
    if not upstream.insecure:
        return None
    some = ", ".join([*upstream.insecure[:3], *(["…"] if len(upstream.insecure) > 3 else [])])
    return (
        f"files of {upstream.name} are left out ({some}), as their addresses aren't https and "
        f"builders fetch from no others: see that pypi_url is an index that gives such addresses"
    )


def _files(cursor: Cursor, project_id: int, upstream: UpstreamProject) -> int:
    # One row a name: an index that lists a file twice doesn't stop the sync.
    unique = {file.filename: (v.version, file) for v in upstream.versions for file in v.files}
    rows = list(unique.values())
    bound = {
        "project_id": project_id,
        "version": [version for version, _ in rows],
        "filename": [file.filename for _, file in rows],
        "kind": [file.kind for _, file in rows],
        "url": [file.url for _, file in rows],
        "sha256": [file.sha256 for _, file in rows],
        "size_bytes": [file.size_bytes for _, file in rows],
        "uploaded_at": [file.uploaded_at for _, file in rows],
        "yanked": [file.yanked for _, file in rows],
        "requires_python": [file.requires_python for _, file in rows],
    }
    cursor.execute(sql.FILES, bound)
    changed: int = cursor.rowcount
    cursor.execute(sql.FILES_GONE, bound)
    changed += cursor.rowcount
    return changed
