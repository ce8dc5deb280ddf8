"""A page is written when it is due: with its project, once an hour, or when names change."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import connection

from master.site import pages, publish, queries
from master.site.page import Schedule
from master.site.pages import names as names_page
from tests.support.farm import Farm
from tests.support.site import ONE, TWO, an_hour_later, files, names, publish_all


def test_an_idle_farm_carries_the_pages_of_each_hour_once_an_hour(
    farm: Farm, conn: connection, web: Path
) -> None:
    farm.built(ONE)
    publish_all(conn, farm.config, web)
    (web / "style.css").write_text("of an earlier version")
    assert publish.render(conn, farm.config).lists == {}
    an_hour_later(farm)
    assert publish.render(conn, farm.config).lists["root"] == 2
    # Killed before it was carried.
    assert names(publish_all(conn, farm.config, web)) == {"style.css"}
    assert publish.render(conn, farm.config).lists == {}
    assert files(web) == files(farm.config.state_dir / "site")


def test_names_are_listed_anew_only_when_one_comes_or_goes(
    farm: Farm, conn: connection, web: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    def read(cursor: Any) -> tuple[str, ...]:
        asked.append(queries.names(cursor))
        return asked[-1]

    monkeypatch.setattr(
        names_page,
        "PAGE",
        replace(names_page.PAGE, read=read),
    )

    def listed() -> list[str]:
        publish_all(conn, farm.config, web)
        page = json.loads(files(web)["simple/index.v1_json"])
        return [project["name"] for project in page["projects"]]

    farm.built(ONE)
    farm.job("two", "1.0")
    farm.dirty("two")
    assert listed() == ["one"]
    assert len(asked) == 1
    farm.built("one-1.1-py3-none-any.whl")
    farm.failed("two", "1.1", "error: no")
    an_hour_later(farm)
    assert listed() == ["one"]
    assert len(asked) == 1
    farm.built(TWO)
    assert listed() == ["one", "two"]
    farm.rows("UPDATE files SET withdrawn_at = now() WHERE filename = %s", TWO)
    farm.dirty("two")
    assert listed() == ["one"]
    assert len(asked) == 3


EXTRA = """
from master.site.page import ProjectPage, Schedule, SitePage

def versions(cursor, names):
    cursor.execute(
        "SELECT name, string_agg(version, ' ') AS versions FROM projects"
        " JOIN versions USING (project_id) WHERE name = ANY(%s) GROUP BY name", (list(names),))
    return {row.name: row for row in cursor.fetchall()}

def count(cursor):
    cursor.execute("SELECT count(*) AS versions FROM versions")
    return cursor.fetchone()
"""
OF_A_PROJECT = """
PAGE = ProjectPage(versions, lambda site, row: {
    f"project/{row.name}/extra.html": site.html("extra.html.j2", up="../../", row=row)})
"""
OF_THE_SITE = """
PAGE = SitePage(Schedule.%s, ("extra.html",), count,
                lambda site, row: [site.html("extra.html.j2", up="", row=row)])
"""


@pytest.fixture
def extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a folder with pages beside the site's own, for one named extra."""
    folder = tmp_path / "pages"
    folder.mkdir()
    monkeypatch.setattr(pages, "__path__", [*pages.__path__, str(folder)])
    yield folder
    sys.modules.pop("master.site.pages.extra", None)


@pytest.mark.parametrize("page", [OF_A_PROJECT, *(OF_THE_SITE % one.name for one in Schedule)])
def test_a_page_is_a_file_with_its_query_template_and_schedule(
    farm: Farm, conn: connection, web: Path, extra: Path, page: str
) -> None:
    farm.built(ONE)
    publish_all(conn, farm.config, web)
    before = files(web)
    (extra / "extra.py").write_text(EXTRA + page)
    (extra / "extra.html.j2").write_text("{{ row.versions }} at {{ site_url }}")
    # With the next project that is published, or the next hour, and nothing but these files.
    farm.dirty("one")
    an_hour_later(farm)
    publish_all(conn, farm.config, web)
    path, text = (
        ("project/one/extra.html", b"1.0") if page == OF_A_PROJECT else ("extra.html", b"1")
    )
    assert files(web) == before | {path: text + b" at https://farm.example"}
    assert files(web) == files(farm.config.state_dir / "site")
