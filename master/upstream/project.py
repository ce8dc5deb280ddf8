"""Bring what the index says of one project into the database, and queue what is new."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg2

from master.database import connection as db
from master.database.connection import Connection, Cursor
from master.errors import FarmError
from master.jobs import policy
from master.targets.tags import Target
from master.text import one_line
from master.upstream import sql
from master.upstream.model import UpstreamProject

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


def is_known(conn: Connection, name: str) -> bool:
    with db.transaction(conn) as cursor:
        cursor.execute(sql.KNOWN, {"name": name})
        return cursor.fetchone() is not None


def _versions_of(cursor: Cursor, project_id: int) -> set[int]:
    """Return the versions that the farm has of a project."""
    cursor.execute(sql.HAS, {"project_id": project_id})
    return {row.version_id for row in cursor.fetchall()}


def gone(
    conn: Connection,
    name: str,
    *,
    targets: Sequence[Target],
    now: datetime,
    check: bool = False,
) -> None:
    """Store that the index has the project no longer, if the farm ever knew it."""
    if is_known(conn, name):
        nothing = UpstreamProject(name, (), is_final=True)
        store(conn, nothing, None, targets=targets, newest=None, now=now, check=check)


def store(
    conn: Connection,
    upstream: UpstreamProject,
    spelling: str | None,
    *,
    targets: Sequence[Target],
    newest: int | None,
    now: datetime,
    followed: bool = True,
    may_lose: bool = True,
    believe: bool = False,
    check: bool = False,
) -> Synced:
    """Store one project in one transaction, and queues what the targets want of it.

    spelling is its author's; None leaves what is known. followed says that the farm follows it;
    without it a known one stays what it is, and one that isn't followed gets no jobs. believe is to
    take a page that is older than the last one, or empty. Raises OddProjectError, and LossError
    unless it may lose something, with the project as it was.
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
                believe=believe,
            )
            if synced.lost and not may_lose:
                raise LossError(synced.lost)
    except EmptyPageError:
        with db.transaction(conn, dry_run=check) as cursor:
            # The next one that is empty will be believed.
            cursor.execute(sql.EMPTY, {"name": upstream.name, "now": now})
        raise
    return synced


def write(
    cursor: Cursor,
    upstream: UpstreamProject,
    spelling: str | None,
    *,
    targets: Sequence[Target],
    newest: int | None,
    now: datetime,
    followed: bool,
    believe: bool = False,
) -> Synced:
    """Return what store() does, in a transaction of the caller's. Raises OddProjectError."""
    with _storable(upstream.name):
        if not believe:
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
                "changed": bool(changed),
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
    """Raise OddProjectError for a page that is older than the last one, or that has lost all."""
    cursor.execute(sql.KNOWN, {"name": upstream.name})
    known = cursor.fetchone()
    if known is None:
        return
    if None not in (upstream.serial, known.serial) and upstream.serial < known.serial:
        raise OddProjectError(
            f"the index answers for {upstream.name} with an older page than before (serial "
            f"{upstream.serial}, and {known.serial} was seen): a cache on the way is behind. The "
            f"farm keeps what it knows, and the next sync tries again. If the index was rolled "
            f"back, run ansible-playbook playbooks/sync.yml -e sync_accept_losses=true"
        )
    if upstream.is_final:
        return
    has_files = any(version.files for version in upstream.versions)
    is_empty = (known.has_any and not upstream.versions) or (known.has_files and not has_files)
    if is_empty and upstream.ignored:
        raise OddProjectError(
            f"nothing that the index lists of {upstream.name} can be used "
            f"({len(upstream.ignored)} versions and files, such as "
            f"{one_line(upstream.ignored[0])}): the farm keeps what it has. See its page on the "
            f"index; the next sync tries again"
        )
    if is_empty and known.empty_since is None:
        raise EmptyPageError(
            f"the index lists nothing of {upstream.name} any more, and doesn't say why: the farm "
            f"keeps what it has of it. If the next sync finds the same, that is believed"
        )


@contextmanager
def _storable(name: str) -> Iterator[None]:
    """Raise OddProjectError for what the database or a parser refuses of a project."""
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
        f"builders fetch from no others: set farm_pypi_url to an index that gives such addresses"
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
