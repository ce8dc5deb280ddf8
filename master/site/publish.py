"""What must be carried to the web host: rendered here, listed for rsync, and ticked off afterwards.

The lists stand in state_dir/publish, one path a line, relative to the site's root, and are carried
in this order, so that no page ever names a file that isn't there:

    files.list    wheels and their .metadata
    pages.list    the projects' pages
    root.list     the pages of the site as a whole
    delete.list   what is gone, as rules for --exclude-from

A project stays stale until mark_published() has run, so a run that dies is simply done again. What
has left this tree nothing else remembers, so that stands in removed.txt until it was deleted there
too. So does that a name came or went, in names_changed, until the pages that list names are there.
Rounds call these two one after the other, never two at once.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ, connection

from master.config import Config
from master.database import connection as db
from master.database import notes
from master.errors import FarmError
from master.site import pages, queries, tree
from master.site.model import Project
from master.site.page import Content, ProjectPage, Schedule, Site, SitePage
from master.status import due

BATCH = 500
LISTS = ("files", "pages", "root", "delete")
_CARRIED = "carried.json"
_NAMES_CHANGED = "names_changed"


class UnwritableError(FarmError):
    """The master can't write the site; the message names the folder, the cause and the way out."""


class EmptyDatabaseError(FarmError):
    """The database knows none of the site's wheels; the message names both and the way out."""


@dataclass(frozen=True)
class Rendered:
    """What a rendering found to carry."""

    projects: list[str]
    """Those whose pages were stale, or that are gone."""
    lists: dict[str, int] = field(default_factory=dict)
    """How many lines each list has; empty when there is nothing to carry."""
    errors: list[str] = field(default_factory=list)
    """A line for each project that couldn't be rendered; it stays stale."""


@dataclass(frozen=True)
class Carried:
    """What render() listed last."""

    projects: dict[str, str] = field(default_factory=dict)
    """Each with the time since which it was stale."""
    hour: str | None = None
    """The time to which the pages of each hour were rendered; None when they were not."""


def stale_projects(conn: connection, config: Config) -> list[str]:
    """Name what render() would render now. Changes nothing."""
    hourly = due.is_hour_over(conn, datetime.now(UTC))
    with _snapshot(conn) as cursor:
        gone = _gone(cursor, config) if hourly else []
        return sorted({*queries.stale(cursor), *gone, *due.undeleted(config)})


def mark_stale(conn: connection, config: Config, *, check: bool = False) -> int:
    """Have the next rounds render and carry all of the site, as for a new web host.

    Return how many projects it has. With check, nothing is written.
    """
    if not check:
        _note_names(config)
    with db.transaction(conn, dry_run=check) as cursor:
        notes.note(cursor, "hourly_pages", "", datetime.fromtimestamp(0, UTC))
        return queries.mark_all_stale(cursor)


def render(conn: connection, config: Config, *, check: bool = False) -> Rendered:
    """Render what is stale and write the lists of what must be carried.

    With check, only return which projects these are. Raises UnwritableError, and leaves whole files
    then, and projects that stay stale. Raises EmptyDatabaseError with nothing done: the site is
    what is left of a database that was lost.
    """
    if check:
        return Rendered(stale_projects(conn, config))
    now = datetime.now(UTC)
    hour = now if due.is_hour_over(conn, now) else None
    with db.transaction(conn) as cursor:
        if queries.stale(cursor):
            # It may take long: who asks for the farm's state is told that it is under way.
            notes.note(cursor, "publish_began", "", now)
    try:
        with _snapshot(conn) as cursor:
            _check_database(cursor, config)
            return _Rendering(cursor, config, hour).run()
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        way_out = (
            f"Make room there (df -h {config.state_dir})"
            if full
            else "Check its owner, its modes and its disk (dmesg)"
        )
        raise UnwritableError(
            f"the site can't be written under {config.state_dir}: {error.strerror}"
            f" ({error.filename}). {way_out}; the next round goes on by itself"
        ) from error


def _check_database(cursor: Any, config: Config) -> None:
    site = config.state_dir / "site"
    # No role may delete a file's row, so this one never was the site's.
    if not queries.knows_wheels(cursor) and any(site.glob("files/*/*.whl")):
        raise EmptyDatabaseError(
            f"the database on {config.database.host} knows no wheels, and {site} has some: restore"
            f" it from its backup. To start over without them, empty {site} and {config.store}"
        )


def read_carried(config: Config) -> Carried:
    """Return what is to be marked as published."""
    try:
        return Carried(**json.loads((config.state_dir / "publish" / _CARRIED).read_bytes()))
    except FileNotFoundError:
        return Carried()


def mark_published(conn: connection, config: Config, *, check: bool = False) -> int:
    """Note that what render() listed was carried; return how many projects are published now.

    With check, nothing is written.
    """
    folder = config.state_dir / "publish"
    if not (folder / _CARRIED).exists():
        return 0
    carried = read_carried(config)
    since = [(name, datetime.fromisoformat(moment)) for name, moment in carried.projects.items()]
    with db.transaction(conn, dry_run=check) as cursor:
        published = queries.mark_published(cursor, since)
        notes.note(cursor, "last_publish", f"{len(since)} projects", datetime.now(UTC))
        if carried.hour:
            notes.note(cursor, "hourly_pages", "", datetime.fromisoformat(carried.hour))
    if check:
        return published
    for name in (_CARRIED, due.REMOVED, _NAMES_CHANGED, *(f"{name}.list" for name in LISTS)):
        (folder / name).unlink(missing_ok=True)
    return published


def note_failure(conn: connection, error: str) -> None:
    """Note why carrying failed, for those who ask for the farm's state."""
    with db.transaction(conn) as cursor:
        notes.note(cursor, "last_publish_error", error, datetime.now(UTC))


class _Rendering:
    def __init__(self, cursor: Any, config: Config, hour: datetime | None) -> None:
        self._cursor = cursor
        self._config = config
        self._hour = hour
        self._site = config.state_dir / "site"
        self._lists = config.state_dir / "publish"
        self._pages = pages.load()
        self._shared = Site(config.site_url, self._site, cursor, tuple(pages.__path__))
        self._listed: dict[str, list[str]] = {name: [] for name in LISTS}
        self._unwanted: list[str] = []
        self._errors: list[str] = []

    def run(self) -> Rendered:
        stale = queries.stale(self._cursor)
        names = list(stale)
        rendered: list[str] = []
        for start in range(0, len(names), BATCH):
            rendered += self._render_projects(names[start : start + BATCH])
        gone = _gone(self._cursor, self._config) if self._hour else []
        for name in gone:
            self._note_name(name, is_offered=False)
            self._unwanted += tree.unwanted(self._site, name, ())
        undeleted = due.undeleted(self._config)
        if not (rendered or gone or undeleted or self._hour):
            return Rendered([], errors=self._errors)
        self._remove(undeleted)
        self._render_site()
        for name, lines in self._listed.items():
            tree.write(self._lists, f"{name}.list", _lines(lines))
        carried = Carried(
            {name: stale[name].isoformat() for name in rendered},
            self._hour.isoformat() if self._hour else None,
        )
        tree.write(self._lists, _CARRIED, json.dumps(asdict(carried)).encode())
        return Rendered(
            projects=sorted([*rendered, *gone]),
            lists={name: len(lines) for name, lines in self._listed.items()},
            errors=self._errors,
        )

    def _render_projects(self, names: Sequence[str]) -> list[str]:
        """Render some projects; return which of them could be."""
        read = cache(lambda read: read(self._cursor, names))
        rendered = []
        for name, project in read(queries.projects).items():
            try:
                files = self._link_wheels(project)
            except tree.StoreBrokenError as error:
                self._errors.append(f"{name}: {error}")
                continue
            contents: dict[str, Content] = {}
            for page in self._pages:
                if isinstance(page, ProjectPage) and name in read(page.read):
                    contents |= page.render(self._shared, read(page.read)[name])
            self._note_name(name, is_offered=bool(project.offered))
            self._write(contents)
            self._unwanted += tree.unwanted(self._site, name, [*files, *contents])
            self._listed["files"] += files
            self._listed["pages"] += contents
            rendered.append(name)
        return rendered

    def _note_name(self, name: str, *, is_offered: bool) -> None:
        # The note before the deed: afterwards, nothing here tells that the name came or went.
        if (self._site / "simple" / name).is_dir() != is_offered:
            _note_names(self._config)

    def _link_wheels(self, project: Project) -> list[str]:
        store = self._config.store / project.name
        wheels = [wheel.filename for version in project.offered for wheel in version.offered]
        files = [*wheels, *(f"{wheel}.metadata" for wheel in wheels)]
        for file in files:
            tree.link(self._site, f"files/{project.name}/{file}", store / file)
        return [f"files/{project.name}/{file}" for file in files]

    def _render_site(self) -> None:
        site_pages = [page for page in self._pages if isinstance(page, SitePage)]
        by_names = [page for page in site_pages if page.schedule is Schedule.NAMES]
        if not all((self._site / path).exists() for page in by_names for path in page.paths):
            # One that is new waits for no name to come or go.
            _note_names(self._config)
        now = {Schedule.CHANGE}
        if self._hour:
            now.add(Schedule.HOUR)
        if (self._lists / _NAMES_CHANGED).exists():
            now.add(Schedule.NAMES)
        for page in site_pages:
            if page.schedule in now:
                contents = page.render(self._shared, page.read(self._cursor))
                self._write(dict(zip(page.paths, contents, strict=True)))
                self._listed["root"] += page.paths

    def _write(self, contents: Mapping[str, Content]) -> None:
        for name, content in contents.items():
            if isinstance(content, bytes):
                tree.write(self._site, name, content)
            elif not (self._site / name).exists():
                # On the disk at once: what a power cut emptied would be taken for it for ever.
                tree.write(self._site, name, content(), sync=True)

    def _remove(self, undeleted: Sequence[str]) -> None:
        # What an earlier run removed here may not have been removed there; unless it is back.
        here = {*self._listed["files"], *self._listed["pages"]}
        delete = list(dict.fromkeys([*undeleted, *self._unwanted]))
        delete = [name for name in delete if name not in here and not self._is_back(name)]
        # Here, too: after a kill in between, both are done again.
        tree.write(self._lists, due.REMOVED, _lines(delete), sync=True)
        tree.remove(self._site, self._unwanted)
        self._listed["delete"] = _deletion_rules(delete)

    def _is_back(self, name: str) -> bool:
        return name not in self._unwanted and (self._site / name).exists()


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _note_names(config: Config) -> None:
    tree.write(config.state_dir / "publish", _NAMES_CHANGED, b"", sync=True)


def _deletion_rules(names: Sequence[str]) -> list[str]:
    """Return names and their folders as rules for --exclude-from, which protect all else.

    Not --delete-missing-args: Debian 12's rsync breaks on it since a security update (deb12u6).
    """
    rules: list[str] = []
    for name in names:
        rules += [f"+ /{parent}/" for parent in reversed(Path(name).parents[:-1])]
        # A file, or a folder with all that is in it.
        rules += [f"+ /{name}", f"+ /{name}/**"]
    return [*dict.fromkeys(rules), "- *"] if rules else []


def _gone(cursor: Any, config: Config) -> list[str]:
    """Return the projects that the site has and the database doesn't."""
    return sorted(tree.strangers(config.state_dir / "site", queries.known(cursor)))


@contextmanager
def _snapshot(conn: connection) -> Iterator[Any]:
    """Yield a cursor that sees one moment: what changes meanwhile stays stale."""
    conn.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
    try:
        with conn, conn.cursor() as cursor:
            yield cursor
    finally:
        conn.set_session(isolation_level="DEFAULT", readonly=False)
