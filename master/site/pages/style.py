"""The style sheet of all pages."""

from __future__ import annotations

from pathlib import Path

from master.site.page import Schedule, Site, SitePage


def render(_site: Site, _: None) -> tuple[bytes]:
    return (Path(__file__).with_name("style.css").read_bytes(),)


PAGE = SitePage(Schedule.HOUR, ("style.css",), lambda _: None, render)
