"""A run that died anywhere is made good by the next one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import connection

from master.site import publish, queries, simple, tree
from tests.support.farm import Farm
from tests.support.site import ONE, TWO, carry, files, publish_all


@pytest.mark.parametrize("kinds", [(), ("files",), ("files", "pages"), publish.LISTS])
def test_a_run_that_died_anywhere_is_done_again_by_the_next(
    farm: Farm, conn: connection, web: Path, kinds: tuple[str, ...]
) -> None:
    farm.built(ONE)
    farm.built(TWO)
    publish_all(conn, farm.config, web)
    farm.built("two-2.1-py3-none-any.whl")
    farm.rows("UPDATE versions SET present = false WHERE version = '1.0'")
    farm.dirty("one")
    rendered = publish.render(conn, farm.config)
    if kinds:
        carry(farm.config, web, rendered.lists, *kinds)
    # The run is killed here.
    publish_all(conn, farm.config, web)
    assert files(web) == files(farm.config.state_dir / "site")
    assert not (web / "files/one").exists()
    assert not (web / "simple/one").exists()
    assert publish.stale_projects(conn, farm.config) == []


def test_a_run_that_died_between_list_and_removal_removes_all_the_same(
    farm: Farm, conn: connection, web: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm.built(ONE)
    publish_all(conn, farm.config, web)
    farm.rows("UPDATE versions SET present = false")
    farm.dirty("one")
    with monkeypatch.context() as patch:

        def killed(*_: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr(tree, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            publish.render(conn, farm.config)
    publish_all(conn, farm.config, web)
    assert files(web) == files(farm.config.state_dir / "site")
    assert not (web / "files/one").exists()


def test_what_came_back_before_it_was_deleted_there_is_not_deleted(
    farm: Farm, conn: connection, web: Path
) -> None:
    farm.built(ONE)
    publish_all(conn, farm.config, web)
    before = files(web)
    farm.rows("UPDATE versions SET present = false")
    farm.dirty("one")
    publish.render(conn, farm.config)
    # Killed before anything was carried; meanwhile the version is there again.
    farm.rows("UPDATE versions SET present = true")
    farm.dirty("one")
    publish_all(conn, farm.config, web)
    assert files(web) == before


def test_what_was_not_deleted_there_yet_is_not_forgotten_when_its_folder_comes_back(
    farm: Farm, conn: connection, web: Path
) -> None:
    farm.built(ONE)
    publish_all(conn, farm.config, web)
    farm.rows("UPDATE versions SET present = false")
    farm.dirty("one")
    publish.render(conn, farm.config)
    # Killed before anything was carried; meanwhile the project has another wheel.
    farm.built("one-1.1-py3-none-any.whl")
    publish_all(conn, farm.config, web)
    assert files(web) == files(farm.config.state_dir / "site")
    assert not (web / "files/one" / ONE).exists()


def test_a_full_disk_is_named_and_leaves_nothing_half_done(
    farm: Farm, conn: connection, web: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm.built(ONE)
    with monkeypatch.context() as patch:

        def full(*_: Any, **__: Any) -> bool:
            raise OSError(28, "No space left on device", "site/index.html")

        patch.setattr(tree, "write", full)
        with pytest.raises(publish.UnwritableError, match=r"No space left.*Make room there"):
            publish.render(conn, farm.config)
    assert publish.stale_projects(conn, farm.config) == ["one"]
    publish_all(conn, farm.config, web)
    assert files(web) == files(farm.config.state_dir / "site")


def test_a_name_that_came_in_a_run_that_died_is_listed_by_the_next(
    farm: Farm, conn: connection, web: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm.built(ONE)
    publish_all(conn, farm.config, web)
    farm.built(TWO)
    with monkeypatch.context() as patch:

        def killed(*_: Any) -> None:
            raise KeyboardInterrupt

        # Its pages are written, and those of the site aren't.
        patch.setattr(queries, "farm", killed)
        patch.setattr(simple, "root_json", killed)
        with pytest.raises(KeyboardInterrupt):
            publish.render(conn, farm.config)
    assert (farm.config.state_dir / "site/simple/two").exists()
    # And once more, before they are carried.
    publish.render(conn, farm.config)
    publish_all(conn, farm.config, web)
    assert {"name": "two"} in json.loads(files(web)["simple/index.v1_json"])["projects"]
