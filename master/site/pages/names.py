"""The names of all projects with a wheel, as installers read them."""

from __future__ import annotations

from collections.abc import Sequence

from master.site import queries, simple
from master.site.page import Schedule, Site, SitePage


def render(_: Site, names: Sequence[str]) -> tuple[bytes, ...]:
    html = simple.root_html(names)
    return simple.root_json(names), html, html


PAGE = SitePage(Schedule.NAMES, simple.paths("simple"), queries.names, render)
