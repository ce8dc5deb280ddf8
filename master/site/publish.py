"""What must be carried to the web host: rendered here, listed for rsync, and ticked off afterwards.

The lists stand in state_dir/publish, one path a line, relative to the site's root, and are carried
in this order, so that no page ever names a file that isn't there:

    files.list    wheels and their .metadata
    pages.list    the projects' pages and logs
    root.list     the pages that list projects
    delete.list   what is gone, as rules for --exclude-from

A project stays stale until mark_published() has run, so a run that dies is simply done again. What
has left this tree nothing else remembers, so that stands in removed.txt until it was deleted there
too.
Rounds call these two one after the other, never two at once.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ, connection

from master.config import Config
from master.database import notes
from master.errors import FarmError
from master.site import people, queries, simple, tree
from master.site.model import Farm, Project, Target

BATCH = 500
LISTS = ("files", "pages", "root", "delete")
_CARRIED = "carried.json"
_REMOVED = "removed.txt"


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


def stale_projects(conn: connection, config: Config) -> list[str]:
    """Name what render() would render now. Changes nothing."""
    with _snapshot(conn) as cursor:
        return sorted({*queries.stale(cursor), *_gone(cursor, config), *_undeleted(config)})


def mark_stale(conn: connection) -> int:
    """Have the next rounds render and carry every project, as for a new web host."""
    with conn, conn.cursor() as cursor:
        return queries.mark_all_stale(cursor)


def render(conn: connection, config: Config) -> Rendered:
    """Render what is stale and write the lists of what must be carried.

    Raises UnwritableError, and leaves whole files then, and projects that stay stale. Raises
    EmptyDatabaseError with nothing done: the site is what is left of a database that was lost.
    """
    if stale_projects(conn, config):
        # It may take long: who asks for the farm's state is told that it is under way.
        with conn, conn.cursor() as cursor:
            notes.note(cursor, "publish_began", "", datetime.now(UTC))
    try:
        with _snapshot(conn) as cursor:
            _check_database(cursor, config)
            return _Rendering(cursor, config).run()
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        way_out = (
            f"Make room there (df -h {config.state_dir})"
            if full
            else "See to its owner, its modes and its disk (dmesg)"
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
            f"the database on {config.database.host} knows no wheel, and {site} has some: restore"
            f" it from its backup. To begin anew without them, empty {site} and {config.store}"
        )


def read_carried(config: Config) -> dict[str, str]:
    """The projects that render() listed last, each with the time since which it was stale."""
    try:
        carried: dict[str, str] = json.loads((config.state_dir / "publish" / _CARRIED).read_bytes())
    except FileNotFoundError:
        return {}
    return carried


def mark_published(conn: connection, config: Config) -> int:
    """Note that what render() listed was carried; returns how many projects are published now."""
    folder = config.state_dir / "publish"
    if not (folder / _CARRIED).exists():
        return 0
    carried = read_carried(config)
    since = [(name, datetime.fromisoformat(moment)) for name, moment in carried.items()]
    with conn, conn.cursor() as cursor:
        published = queries.mark_published(cursor, since)
        notes.note(cursor, "last_publish", f"{len(since)} projects", datetime.now(UTC))
    for name in (_CARRIED, _REMOVED, *(f"{name}.list" for name in LISTS)):
        (folder / name).unlink(missing_ok=True)
    return published


def note_failure(conn: connection, error: str) -> None:
    """Note why carrying failed, for those who ask for the farm's state."""
    with conn, conn.cursor() as cursor:
        notes.note(cursor, "last_publish_error", error, datetime.now(UTC))


class _Rendering:
    def __init__(self, cursor: Any, config: Config) -> None:
        self._cursor = cursor
        self._config = config
        self._site = config.state_dir / "site"
        self._lists = config.state_dir / "publish"
        self._people = people.People(config.site_url)
        self._files: list[str] = []
        self._pages: list[str] = []
        self._unwanted: list[str] = []
        self._errors: list[str] = []

    def run(self) -> Rendered:
        stale = queries.stale(self._cursor)
        gone = _gone(self._cursor, self._config)
        undeleted = _undeleted(self._config)
        if not stale and not gone and not undeleted:
            return Rendered([])
        targets = queries.targets(self._cursor)
        carried: dict[str, str] = {}
        names = list(stale)
        for start in range(0, len(names), BATCH):
            for project in queries.projects(self._cursor, names[start : start + BATCH]):
                try:
                    self._render(project, targets)
                except tree.StoreBrokenError as error:
                    self._errors.append(f"{project.name}: {error}")
                else:
                    carried[project.name] = stale[project.name].isoformat()
        for name in gone:
            self._unwanted += tree.unwanted(self._site, name, ())
        if not carried and not gone and not undeleted:
            return Rendered([], errors=self._errors)
        root = self._render_root(queries.farm(self._cursor))
        # What an earlier run removed here may not have been removed there; unless it is back.
        here = {*self._files, *self._pages}
        delete = list(dict.fromkeys([*undeleted, *self._unwanted]))
        delete = [name for name in delete if name not in here and not self._is_back(name)]
        # The note before the deed: after a kill in between, both are done again.
        tree.write(self._lists, _REMOVED, _lines(delete), sync=True)
        tree.remove(self._site, self._unwanted)
        rules = _deletion_rules(delete)
        self._write_list("delete", rules)
        self._write_list("files", self._files)
        self._write_list("pages", self._pages)
        self._write_list("root", root)
        tree.write(self._lists, _CARRIED, json.dumps(carried).encode())
        return Rendered(
            projects=sorted([*carried, *gone]),
            lists={
                "files": len(self._files),
                "pages": len(self._pages),
                "root": len(root),
                "delete": len(rules),
            },
            errors=self._errors,
        )

    def _render(self, project: Project, targets: Sequence[Target]) -> None:
        files = self._link_wheels(project)
        pages = self._write_pages(project, targets)
        self._files += files
        self._pages += pages
        self._unwanted += tree.unwanted(self._site, project.name, [*files, *pages])

    def _link_wheels(self, project: Project) -> list[str]:
        store = self._config.store / project.name
        wheels = [wheel.filename for version in project.offered for wheel in version.offered]
        files = [*wheels, *(f"{wheel}.metadata" for wheel in wheels)]
        for file in files:
            tree.link(self._site, f"files/{project.name}/{file}", store / file)
        return [f"files/{project.name}/{file}" for file in files]

    def _write_pages(self, project: Project, targets: Sequence[Target]) -> list[str]:
        folder = f"project/{project.name}"
        pages = {
            f"{folder}/index.html": self._people.project(project, targets),
            f"{folder}/index.json": people.project_json(project, targets),
        }
        if project.offered:
            # Without a wheel there is no index page: a client that finds one looks no further.
            pages |= _index(
                f"simple/{project.name}", simple.project_json(project), simple.project_html(project)
            )
        for name, content in pages.items():
            tree.write(self._site, name, content)
        return [*self._write_logs(project), *pages]

    def _write_logs(self, project: Project) -> list[str]:
        names = []
        for version in project.newest_first:
            for build in version.builds:
                if build.log_size_bytes is None:
                    continue
                name = people.log_name(project.name, build.build_id)
                # A log never changes, so one that is there needn't be read again.
                if not (self._site / name).exists():
                    log = queries.log(self._cursor, build.build_id)
                    # On the disk at once: what a power cut emptied would be taken for it for ever.
                    tree.write(self._site, name, people.log_text(log), sync=True)
                names.append(name)
        return names

    def _render_root(self, farm: Farm) -> list[str]:
        pages = {"style.css": people.style(), "index.html": self._people.start(farm)}
        pages |= _index("simple", simple.root_json(farm.names), simple.root_html(farm.names))
        for name, content in pages.items():
            tree.write(self._site, name, content)
        return list(pages)

    def _is_back(self, name: str) -> bool:
        return name not in self._unwanted and (self._site / name).exists()

    def _write_list(self, name: str, lines: Iterable[str]) -> None:
        tree.write(self._lists, f"{name}.list", _lines(lines))


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _index(folder: str, json_page: bytes, html_page: bytes) -> dict[str, bytes]:
    """An index page in the formats between which the web host chooses by Accept (PEP 691)."""
    return {
        f"{folder}/index.v1_json": json_page,
        f"{folder}/index.v1_html": html_page,
        f"{folder}/index.html": html_page,
    }


def _deletion_rules(names: Sequence[str]) -> list[str]:
    """Names and their folders as rules for rsync's --exclude-from, which protect all else.

    Not --delete-missing-args: Debian 12's rsync breaks on it since a security update (deb12u6).
    """
    rules: list[str] = []
    for name in names:
        rules += [f"+ /{parent}/" for parent in reversed(Path(name).parents[:-1])]
        # A file, or a folder with all that is in it.
        rules += [f"+ /{name}", f"+ /{name}/**"]
    return [*dict.fromkeys(rules), "- *"] if rules else []


def _gone(cursor: Any, config: Config) -> list[str]:
    """Projects that the site has and the database doesn't."""
    return sorted(tree.projects(config.state_dir / "site") - queries.known(cursor))


def _undeleted(config: Config) -> list[str]:
    """What left the tree in a run that didn't come to delete it on the web host."""
    path = config.state_dir / "publish" / _REMOVED
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


@contextmanager
def _snapshot(conn: connection) -> Iterator[Any]:
    """A cursor that sees one moment: what changes meanwhile stays stale."""
    conn.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
    try:
        with conn, conn.cursor() as cursor:
            yield cursor
    finally:
        conn.set_session(isolation_level="DEFAULT", readonly=False)
