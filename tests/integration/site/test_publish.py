"""What changed is rendered and carried, and only that."""

from __future__ import annotations

import shutil
from pathlib import Path

from psycopg2.extensions import connection

from master.site import publish
from tests.support.farm import Farm
from tests.support.site import INDEX, ONE, TWO, carry, files, names, publish_all


def test_everything_that_is_new_reaches_the_web_host(
    farm: Farm, conn: connection, web: Path
) -> None:
    build = farm.built(ONE, apt=("liblzo2-2",))
    failed = farm.failed("two", "2.0", "error: no such file")
    publish_all(conn, farm.config, web)
    assert set(files(web)) == {
        "index.html",
        "style.css",
        *(f"simple/{page}" for page in INDEX),
        *(f"simple/one/{page}" for page in INDEX),
        f"files/one/{ONE}",
        f"files/one/{ONE}.metadata",
        "project/one/index.html",
        "project/one/index.json",
        f"project/one/log/{build}.txt",
        "project/two/index.html",
        "project/two/index.json",
        f"project/two/log/{failed}.txt",
    }
    assert files(web)[f"project/two/log/{failed}.txt"] == b"log of two\nerror: no such file\n"
    assert (web / f"files/one/{ONE}").stat().st_mode & 0o777 == 0o644
    assert (web / "project/one/log").stat().st_mode & 0o777 == 0o755


def test_nothing_is_done_when_nothing_has_changed(farm: Farm, conn: connection, web: Path) -> None:
    farm.built(ONE)
    publish_all(conn, farm.config, web)
    assert publish.stale_projects(conn, farm.config) == []
    assert publish.render(conn, farm.config) == publish.Rendered([])
    assert publish.mark_published(conn, farm.config) == 0


def test_only_what_changed_is_carried(farm: Farm, conn: connection, web: Path) -> None:
    farm.built(ONE)
    farm.built(TWO)
    publish_all(conn, farm.config, web)
    build = farm.built("two-2.1-py3-none-any.whl")
    done = publish_all(conn, farm.config, web)
    assert names(done) == {
        "files/two/two-2.1-py3-none-any.whl",
        "files/two/two-2.1-py3-none-any.whl.metadata",
        *(f"simple/two/{page}" for page in INDEX),
        "project/two/index.html",
        "project/two/index.json",
        f"project/two/log/{build}.txt",
        "index.html",
    }


def test_an_unchanged_project_is_rendered_to_the_same_bytes(
    farm: Farm, conn: connection, web: Path
) -> None:
    farm.built(ONE, apt=("b", "a"))
    farm.failed("one", "2.0", "no")
    publish_all(conn, farm.config, web)
    farm.dirty("one")
    assert names(publish_all(conn, farm.config, web)) == set()


def test_what_changes_while_pages_are_carried_stays_stale(
    farm: Farm, conn: connection, web: Path
) -> None:
    farm.built(ONE)
    farm.built(TWO)
    rendered = publish.render(conn, farm.config)
    farm.dirty("one")
    carry(farm.config, web, rendered.lists)
    assert publish.mark_published(conn, farm.config) == 1
    assert publish.stale_projects(conn, farm.config) == ["one"]


def test_a_project_without_a_wheel_has_a_page_and_no_index(
    farm: Farm, conn: connection, web: Path
) -> None:
    farm.job("new", "1.0")
    farm.dirty("new")
    publish_all(conn, farm.config, web)
    assert (web / "project/new/index.html").exists()
    assert not (web / "simple/new").exists()
    assert b"new" not in files(web)["simple/index.v1_json"]


def test_a_wheel_that_the_store_lost_holds_up_no_other_project(
    farm: Farm, conn: connection, web: Path
) -> None:
    farm.built(ONE)
    farm.built(TWO)
    (farm.config.store / "one" / ONE).unlink()
    rendered = publish.render(conn, farm.config)
    assert rendered.projects == ["two"]
    assert len(rendered.errors) == 1
    assert ONE in rendered.errors[0]
    carry(farm.config, web, rendered.lists)
    publish.mark_published(conn, farm.config)
    assert publish.stale_projects(conn, farm.config) == ["one"]
    # It alone isn't a reason to carry anything.
    assert publish.render(conn, farm.config).lists == {}


def test_a_new_web_host_gets_everything(farm: Farm, conn: connection, web: Path) -> None:
    farm.built(ONE)
    farm.built(TWO)
    publish_all(conn, farm.config, web)
    before = files(web)
    shutil.rmtree(web)
    web.mkdir()
    assert publish.mark_stale(conn, farm.config) == 2
    publish_all(conn, farm.config, web)
    assert files(web) == before


def test_when_the_site_was_published_is_noted(farm: Farm, conn: connection, web: Path) -> None:
    farm.built(ONE)
    publish.note_failure(conn, "no route to host")
    publish_all(conn, farm.config, web)
    good = farm.value("SELECT updated_at FROM sync_state WHERE key = 'last_publish'")
    bad = farm.value("SELECT updated_at FROM sync_state WHERE key = 'last_publish_error'")
    assert good > bad


def test_that_publishing_is_under_way_is_noted(farm: Farm, conn: connection) -> None:
    began = "SELECT count(*) FROM sync_state WHERE key = 'publish_began'"
    publish.render(conn, farm.config)
    assert farm.value(began) == 0
    farm.built(ONE)
    publish.render(conn, farm.config)
    assert farm.value(began) == 1
