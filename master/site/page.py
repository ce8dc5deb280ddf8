"""What a page of the site is: what it reads, what it makes of that, and when.

Each file of master/site/pages is one, with its template beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from master.database.connection import Cursor
from master.text import duration, one_line

T = TypeVar("T")

Content = bytes | Callable[[], bytes]
"""A function gives what never changes: it is asked only where the file isn't there yet."""

_STATE_WORDS = {
    "pending": "waits to be built",
    "building": "is being built",
    "built": "built",
    "failed": "failed",
    "skipped": "skipped",
}


class Schedule(Enum):
    """When a page is rendered that belongs to no project."""

    HOUR = auto()
    """Once an hour, though nothing else changes."""
    CHANGE = auto()
    """Whenever anything is published, so once an hour at least."""
    NAMES = auto()
    """When the name of a project comes into the index or leaves it."""


@dataclass(frozen=True)
class Site:
    """What every page may use."""

    url: str
    root: Path
    """The site's files as they are now."""
    cursor: Cursor
    templates: Sequence[str]
    """The folders that have them."""

    def html(self, template: str, *, up: str, **values: object) -> bytes:
        """Render a template; up leads from the page to the site's root.

        Everything in the values may be a stranger's text, and is escaped.
        """
        return (
            self._environment.get_template(template)
            .render(site_url=self.url, root=up, **values)
            .encode()
        )

    @cached_property
    def _environment(self) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(self.templates),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        environment.filters["day"] = day
        environment.filters["duration"] = duration
        environment.filters["size"] = size
        environment.filters["state_words"] = _STATE_WORDS.__getitem__
        environment.filters["quoted"] = quote
        environment.filters["one_line"] = one_line
        return environment


@dataclass(frozen=True)
class ProjectPage(Generic[T]):
    """Rendered for each project that changed. Its paths are in the project's folders (tree.py)."""

    read: Callable[[Cursor, Sequence[str]], Mapping[str, T]]
    """What it needs, by project, of those named; asked once for all pages that have the same."""
    render: Callable[[Site, T], Mapping[str, Content]]
    """The content of each path. One that it gives no longer leaves the site."""


@dataclass(frozen=True)
class SitePage(Generic[T]):
    """Rendered for the site as a whole."""

    schedule: Schedule
    paths: tuple[str, ...]
    read: Callable[[Cursor], T]
    render: Callable[[Site, T], Sequence[bytes]]
    """The content of each of the paths, in their order."""


Page = ProjectPage[T] | SitePage[T]


def day(moment: datetime) -> str:
    """Return a moment's date in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d")


def size(size_bytes: int) -> str:
    """Return a size for people, in decimal units as rsync, browsers and disks have them."""
    value = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 9.95 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
