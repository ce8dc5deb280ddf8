"""The logs of a project's builds, as plain text."""

from __future__ import annotations

import re
from functools import partial

from master.database.connection import Cursor
from master.site import queries
from master.site.model import Project
from master.site.page import Content, ProjectPage, Site

# ECMA-48 control sequences, as compilers colour their messages with.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def render(site: Site, project: Project) -> dict[str, Content]:
    return {
        f"project/{project.name}/log/{build.build_id}.txt": partial(
            _read, site.cursor, build.build_id
        )
        for version in project.newest_first
        for build in version.builds
        if build.log_size_bytes is not None
    }


def text(log: bytes) -> bytes:
    """Return a build's log without colours, and without anything that steers a terminal."""
    clean = log.decode("utf-8", errors="replace")
    clean = _ESCAPES.sub("", clean).replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("", clean).encode()


def _read(cursor: Cursor, build_id: int) -> bytes:
    return text(queries.log(cursor, build_id))


PAGE = ProjectPage(queries.projects, render)
