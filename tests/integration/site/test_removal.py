"""What goes off the site, whole, and what stays on it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from psycopg2.extensions import connection

from master.site import publish, tree
from tests.support.farm import Farm
from tests.support.site import ONE, TWO, an_hour_later, files, publish_all


def test_of_a_project_that_pypi_removed_the_site_says_no_more_than_that(
    farm: Farm, conn: connection, web: Path
) -> None:
    farm.built(ONE, apt=("liblzo2-2",))
    failed = farm.failed("one", "2.0", "error: secret")
    farm.built(TWO)
    publish_all(conn, farm.config, web)
    before = files(web)
    assert f"project/one/log/{failed}.txt" in before
    assert b"error: secret" in before["index.html"]
    farm.rows(
        """UPDATE versions SET present = false FROM projects
           WHERE versions.project_id = projects.project_id AND name = 'one'"""
    )
    farm.dirty("one")
    publish_all(conn, farm.config, web)
    after = files(web)
    assert after == files(farm.config.state_dir / "site")
    assert {name for name in after if "/one/" in name} == {
        "project/one/index.html",
        "project/one/index.json",
    }
    assert b"PyPI has removed this project" in after["project/one/index.html"]
    assert json.loads(after["project/one/index.json"]) == {
        "name": "one",
        "display_name": "one",
        "removed": True,
        "targets": [],
        "versions": [],
    }
    for page in ("index.html", "project/one/index.html"):
        for word in (b"1.0", b"secret", b"liblzo2"):
            assert word not in after[page]
    assert b"project/two/" in after["index.html"]
    # It comes back whole, with its logs.
    farm.rows("UPDATE versions SET present = true")
    farm.dirty("one")
    publish_all(conn, farm.config, web)
    assert files(web) == before


def test_a_build_of_a_removed_version_is_none_of_the_latest(
    farm: Farm, conn: connection, web: Path
) -> None:
    farm.built(TWO)
    farm.failed("two", "2.1", "error: no")
    farm.rows("UPDATE versions SET present = false WHERE version = '2.1'")
    publish_all(conn, farm.config, web)
    assert b"#v2.0" in files(web)["index.html"]
    assert b"#v2.1" not in files(web)["index.html"]


def test_a_withdrawn_wheel_is_offered_nowhere(farm: Farm, conn: connection, web: Path) -> None:
    farm.built(ONE)
    farm.built(TWO)
    new = "two-2.0-1-py3-none-any.whl"
    farm.built(new, target="trixie")
    publish_all(conn, farm.config, web)
    farm.rows("UPDATE files SET withdrawn_at = now() WHERE filename = ANY(%s)", [ONE, TWO])
    farm.dirty("one")
    farm.dirty("two")
    publish_all(conn, farm.config, web)
    after = files(web)
    assert after == files(farm.config.state_dir / "site")
    for name in (ONE, TWO):
        assert not [page for page, content in after.items() if name.encode() in content
                    and "/log/" not in page]  # fmt: skip
    assert {name for name in after if name.startswith(("files/", "simple/one/"))} == {
        f"files/two/{new}",
        f"files/two/{new}.metadata",
    }
    assert json.loads(after["simple/index.v1_json"])["projects"] == [{"name": "two"}]
    # Its name stays taken.
    assert (farm.config.store / "two" / TWO).exists()


def test_a_project_that_is_gone_leaves_nothing(farm: Farm, conn: connection, web: Path) -> None:
    farm.built(TWO)
    publish_all(conn, farm.config, web)
    site = farm.config.state_dir / "site"
    for place in (site, web):
        for folder in tree.PROJECT_FOLDERS:
            shutil.copytree(place / folder / "two", place / folder / "gone")
    # Whether there are such is looked for once an hour.
    assert publish.stale_projects(conn, farm.config) == []
    an_hour_later(farm)
    assert publish.stale_projects(conn, farm.config) == ["gone"]
    publish_all(conn, farm.config, web)
    assert not [name for name in (*files(web), *files(site)) if "gone" in name]
    assert files(web) == files(site)


def test_a_database_that_lost_everything_takes_nothing_off_the_site(
    farm: Farm, conn: connection, web: Path
) -> None:
    farm.built(ONE)
    publish_all(conn, farm.config, web)
    before = files(farm.config.state_dir / "site")
    farm.rows("TRUNCATE projects, builders CASCADE")
    farm.version("new", "1.0")
    farm.dirty("new")
    with pytest.raises(publish.EmptyDatabaseError, match="restore it from its backup"):
        publish.render(conn, farm.config)
    assert files(farm.config.state_dir / "site") == before


def test_a_wheel_that_a_restored_database_forgot_leaves_the_site_and_keeps_its_name(
    farm: Farm, conn: connection, web: Path
) -> None:
    farm.built(ONE)
    farm.built(TWO)
    publish_all(conn, farm.config, web)
    farm.rows("DELETE FROM files WHERE filename = %s", ONE)
    farm.dirty("one")
    publish_all(conn, farm.config, web)
    assert files(web) == files(farm.config.state_dir / "site")
    assert not (web / "files/one").exists()
    # Recording sees there that it was given away.
    assert (farm.config.store / "one" / ONE).exists()
