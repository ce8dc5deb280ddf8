"""Rendering and carrying: what changed and only that, and again where a run was cut off."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment
from psycopg2.extensions import connection

from master.config import Config
from master.database import connection as db
from master.site import pages, publish, queries, simple, tree
from master.site.page import Schedule
from master.site.pages import names as names_page
from tests.support.cluster import Cluster
from tests.support.site import SiteFarm

ROLE = Path(__file__).parents[2] / "roles/publish"
ONE = "one-1.0-cp311-cp311-linux_armv7l.whl"
TWO = "two-2.0-py3-none-any.whl"
INDEX = ("index.html", "index.v1_html", "index.v1_json")


@pytest.fixture
def farm(cluster: Cluster, config: Config) -> SiteFarm:
    farm = SiteFarm(cluster, config)
    farm.target("bookworm", "3.11")
    farm.target("trixie", "3.13")
    return farm


@pytest.fixture
def conn(farm: SiteFarm) -> Iterator[connection]:
    conn = db.connect(farm.config, "site")
    yield conn
    conn.close()


@pytest.fixture
def web(tmp_path: Path) -> Path:
    folder = tmp_path / "web"
    folder.mkdir()
    return folder


def files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def rsync_options(kind: str, config: Config) -> list[str]:
    """What ansible.posix.synchronize makes of the role publish's task."""
    task = yaml.safe_load((ROLE / "tasks/carry.yml").read_text())[0]
    environment = Environment()
    environment.filters["ternary"] = lambda value, yes, no: yes if value else no

    def value(expression: object) -> str:
        template = environment.from_string(str(expression))
        return template.render(publish_list=kind, publish_state_dir=config.state_dir)

    arguments = {name: value(text) for name, text in task["ansible.posix.synchronize"].items()}
    flags = {"recursive": "--recursive", "delete": "--delete-after", "checksum": "--checksum",
             "perms": "--perms", "times": "--times"}  # fmt: skip
    options = [flag for name, flag in flags.items() if arguments[name] == "True"]
    options += [value(text) for text in task["ansible.posix.synchronize"]["rsync_opts"]]
    # Is relative to the folder of a restricted key.
    options.remove("--temp-dir=/incoming")
    return options


def carry(config: Config, web: Path, lists: dict[str, int], *kinds: str) -> list[str]:
    """Does what the role publish does; returns what rsync had to do."""
    done: list[str] = []
    for kind in kinds or publish.LISTS:
        if lists[kind]:
            argv = [
                "rsync",
                "--perms",
                "--times",
                "--out-format=%i %n",
                *rsync_options(kind, config),
            ]
            argv += [f"{config.state_dir}/site/", f"{web}/"]
            output = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
            done += output.splitlines()
    return done


def publish_all(conn: connection, config: Config, web: Path) -> list[str]:
    rendered = publish.render(conn, config)
    if not rendered.lists:
        return []
    done = carry(config, web, rendered.lists)
    publish.mark_published(conn, config)
    return done


def an_hour_later(farm: SiteFarm) -> None:
    farm.query(
        """UPDATE sync_state SET updated_at = updated_at - interval '1 hour'
           WHERE key = 'hourly_pages'"""
    )


def names(done: list[str]) -> set[str]:
    """The files that rsync really sent or removed."""
    return {line.split(" ", 1)[1] for line in done if line.startswith(("<f", ">f", "*d"))}


def test_everything_that_is_new_reaches_the_web_host(
    farm: SiteFarm, conn: connection, web: Path
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


def test_nothing_is_done_when_nothing_has_changed(
    farm: SiteFarm, conn: connection, web: Path
) -> None:
    farm.built(ONE)
    publish_all(conn, farm.config, web)
    assert publish.stale_projects(conn, farm.config) == []
    assert publish.render(conn, farm.config) == publish.Rendered([])
    assert publish.mark_published(conn, farm.config) == 0


def test_only_what_changed_is_carried(farm: SiteFarm, conn: connection, web: Path) -> None:
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
    farm: SiteFarm, conn: connection, web: Path
) -> None:
    farm.built(ONE, apt=("b", "a"))
    farm.failed("one", "2.0", "no")
    publish_all(conn, farm.config, web)
    farm.project("one")
    assert names(publish_all(conn, farm.config, web)) == set()


def test_what_changes_while_pages_are_carried_stays_stale(
    farm: SiteFarm, conn: connection, web: Path
) -> None:
    farm.built(ONE)
    farm.built(TWO)
    rendered = publish.render(conn, farm.config)
    farm.project("one")
    carry(farm.config, web, rendered.lists)
    assert publish.mark_published(conn, farm.config) == 1
    assert publish.stale_projects(conn, farm.config) == ["one"]


@pytest.mark.parametrize("kinds", [(), ("files",), ("files", "pages"), publish.LISTS])
def test_a_run_that_died_anywhere_is_done_again_by_the_next(
    farm: SiteFarm, conn: connection, web: Path, kinds: tuple[str, ...]
) -> None:
    farm.built(ONE)
    farm.built(TWO)
    publish_all(conn, farm.config, web)
    farm.built("two-2.1-py3-none-any.whl")
    farm.query("UPDATE versions SET present = false WHERE version = '1.0'")
    farm.project("one")
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
    farm: SiteFarm, conn: connection, web: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm.built(ONE)
    publish_all(conn, farm.config, web)
    farm.query("UPDATE versions SET present = false")
    farm.project("one")
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
    farm: SiteFarm, conn: connection, web: Path
) -> None:
    farm.built(ONE)
    publish_all(conn, farm.config, web)
    before = files(web)
    farm.query("UPDATE versions SET present = false")
    farm.project("one")
    publish.render(conn, farm.config)
    # Killed before anything was carried; meanwhile the version is there again.
    farm.query("UPDATE versions SET present = true")
    farm.project("one")
    publish_all(conn, farm.config, web)
    assert files(web) == before


def test_what_was_not_deleted_there_yet_is_not_forgotten_when_its_folder_comes_back(
    farm: SiteFarm, conn: connection, web: Path
) -> None:
    farm.built(ONE)
    publish_all(conn, farm.config, web)
    farm.query("UPDATE versions SET present = false")
    farm.project("one")
    publish.render(conn, farm.config)
    # Killed before anything was carried; meanwhile the project has another wheel.
    farm.built("one-1.1-py3-none-any.whl")
    publish_all(conn, farm.config, web)
    assert files(web) == files(farm.config.state_dir / "site")
    assert not (web / "files/one" / ONE).exists()


def test_a_project_without_a_wheel_has_a_page_and_no_index(
    farm: SiteFarm, conn: connection, web: Path
) -> None:
    farm.job("new", "1.0")
    publish_all(conn, farm.config, web)
    assert (web / "project/new/index.html").exists()
    assert not (web / "simple/new").exists()
    assert b"new" not in files(web)["simple/index.v1_json"]


def test_of_a_project_that_pypi_removed_the_site_says_no_more_than_that(
    farm: SiteFarm, conn: connection, web: Path
) -> None:
    farm.built(ONE, apt=("liblzo2-2",))
    failed = farm.failed("one", "2.0", "error: secret")
    farm.built(TWO)
    publish_all(conn, farm.config, web)
    before = files(web)
    assert f"project/one/log/{failed}.txt" in before
    assert b"error: secret" in before["index.html"]
    farm.query(
        """UPDATE versions SET present = false FROM projects
           WHERE versions.project_id = projects.project_id AND name = 'one'"""
    )
    farm.project("one")
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
    farm.query("UPDATE versions SET present = true")
    farm.project("one")
    publish_all(conn, farm.config, web)
    assert files(web) == before


def test_a_build_of_a_removed_version_is_none_of_the_latest(
    farm: SiteFarm, conn: connection, web: Path
) -> None:
    farm.built(TWO)
    farm.failed("two", "2.1", "error: no")
    farm.query("UPDATE versions SET present = false WHERE version = '2.1'")
    publish_all(conn, farm.config, web)
    assert b"#v2.0" in files(web)["index.html"]
    assert b"#v2.1" not in files(web)["index.html"]


def test_a_withdrawn_wheel_is_offered_nowhere(farm: SiteFarm, conn: connection, web: Path) -> None:
    farm.built(ONE)
    farm.built(TWO)
    new = "two-2.0-1-py3-none-any.whl"
    farm.built(new, target="trixie")
    publish_all(conn, farm.config, web)
    farm.query(
        "UPDATE files SET withdrawn_at = now() WHERE filename = ANY(%(names)s)", names=[ONE, TWO]
    )
    farm.project("one")
    farm.project("two")
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


def test_a_project_that_is_gone_leaves_nothing(farm: SiteFarm, conn: connection, web: Path) -> None:
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


def test_a_wheel_that_the_store_lost_holds_up_no_other_project(
    farm: SiteFarm, conn: connection, web: Path
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
    # It alone is no reason to carry anything.
    assert publish.render(conn, farm.config).lists == {}


def test_a_new_web_host_gets_everything(farm: SiteFarm, conn: connection, web: Path) -> None:
    farm.built(ONE)
    farm.built(TWO)
    publish_all(conn, farm.config, web)
    before = files(web)
    shutil.rmtree(web)
    web.mkdir()
    assert publish.mark_stale(conn, farm.config) == 2
    publish_all(conn, farm.config, web)
    assert files(web) == before


def test_a_full_disk_is_named_and_leaves_nothing_half_done(
    farm: SiteFarm, conn: connection, web: Path, monkeypatch: pytest.MonkeyPatch
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


def test_when_the_site_was_published_is_noted(farm: SiteFarm, conn: connection, web: Path) -> None:
    farm.built(ONE)
    publish.note_failure(conn, "no route to host")
    publish_all(conn, farm.config, web)
    good = farm.query("SELECT updated_at FROM sync_state WHERE key = 'last_publish'")
    bad = farm.query("SELECT updated_at FROM sync_state WHERE key = 'last_publish_error'")
    assert good > bad


def test_that_publishing_is_under_way_is_noted(farm: SiteFarm, conn: connection) -> None:
    began = "SELECT count(*) FROM sync_state WHERE key = 'publish_began'"
    publish.render(conn, farm.config)
    assert farm.query(began) == 0
    farm.built(ONE)
    publish.render(conn, farm.config)
    assert farm.query(began) == 1


def test_a_database_that_lost_everything_takes_nothing_off_the_site(
    farm: SiteFarm, conn: connection, web: Path
) -> None:
    farm.built(ONE)
    publish_all(conn, farm.config, web)
    before = files(farm.config.state_dir / "site")
    farm.empty()
    farm.project("new")
    with pytest.raises(publish.EmptyDatabaseError, match="restore it from its backup"):
        publish.render(conn, farm.config)
    assert files(farm.config.state_dir / "site") == before


def test_a_wheel_that_a_restored_database_forgot_leaves_the_site_and_keeps_its_name(
    farm: SiteFarm, conn: connection, web: Path
) -> None:
    farm.built(ONE)
    farm.built(TWO)
    publish_all(conn, farm.config, web)
    farm.query("DELETE FROM files WHERE filename = %(name)s", name=ONE)
    farm.project("one")
    publish_all(conn, farm.config, web)
    assert files(web) == files(farm.config.state_dir / "site")
    assert not (web / "files/one").exists()
    # Recording sees there that it was given away.
    assert (farm.config.store / "one" / ONE).exists()


def test_an_idle_farm_carries_the_pages_of_each_hour_once_an_hour(
    farm: SiteFarm, conn: connection, web: Path
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
    farm: SiteFarm, conn: connection, web: Path, monkeypatch: pytest.MonkeyPatch
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
    assert listed() == ["one"]
    assert len(asked) == 1
    farm.built("one-1.1-py3-none-any.whl")
    farm.failed("two", "1.1", "error: no")
    an_hour_later(farm)
    assert listed() == ["one"]
    assert len(asked) == 1
    farm.built(TWO)
    assert listed() == ["one", "two"]
    farm.query("UPDATE files SET withdrawn_at = now() WHERE filename = %(name)s", name=TWO)
    farm.project("two")
    assert listed() == ["one"]
    assert len(asked) == 3


def test_a_name_that_came_in_a_run_that_died_is_listed_by_the_next(
    farm: SiteFarm, conn: connection, web: Path, monkeypatch: pytest.MonkeyPatch
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
    """A folder with pages beside the site's own, for one named extra."""
    folder = tmp_path / "pages"
    folder.mkdir()
    monkeypatch.setattr(pages, "__path__", [*pages.__path__, str(folder)])
    yield folder
    sys.modules.pop("master.site.pages.extra", None)


@pytest.mark.parametrize("page", [OF_A_PROJECT, *(OF_THE_SITE % one.name for one in Schedule)])
def test_a_page_is_a_file_with_its_query_template_and_schedule(
    farm: SiteFarm, conn: connection, web: Path, extra: Path, page: str
) -> None:
    farm.built(ONE)
    publish_all(conn, farm.config, web)
    before = files(web)
    (extra / "extra.py").write_text(EXTRA + page)
    (extra / "extra.html.j2").write_text("{{ row.versions }} at {{ site_url }}")
    # With the next project that is published, or the next hour, and nothing but these files.
    farm.project("one")
    an_hour_later(farm)
    publish_all(conn, farm.config, web)
    path, text = (
        ("project/one/extra.html", b"1.0") if page == OF_A_PROJECT else ("extra.html", b"1")
    )
    assert files(web) == before | {path: text + b" at https://farm.example"}
    assert files(web) == files(farm.config.state_dir / "site")
