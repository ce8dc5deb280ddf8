"""What an index says arrives in the database, once, and is queued."""

from __future__ import annotations

import pytest

from master.database import connection as db
from master.jobs import request as jobs_request
from master.site import publish
from master.upstream import page, pypi, sync
from master.upstream.project import Synced
from tests.support.farm import Farm, said
from tests.support.index import Catalogue, File, Server
from tests.support.rows import START
from tests.support.wheels import Forge


@pytest.fixture(params=["json", "html"])
def catalogue(request: pytest.FixtureRequest, server: Server) -> Catalogue:
    """Return an index that is empty, once with JSON and once with HTML alone."""
    server.catalogue.has_json = request.param == "json"
    return server.catalogue


def run(
    farm: Farm,
    server: Server,
    *projects: str,
    newest: int | None = None,
    followed: bool = True,
    max_loss: float | None = 0.1,
    check: bool = False,
) -> dict[str, Synced]:
    with farm.connect("sync") as conn, pypi.Index(server.url, "https://farm.example") as index:
        if followed:
            sync.follow(conn, projects, targets=farm.targets, now=farm.now, check=check)
        return sync.projects(
            conn,
            index,
            projects,
            targets=farm.targets,
            newest=newest,
            now=farm.now,
            max_loss=max_loss,
            followed=followed,
            check=check,
        )


def test_every_version_arrives_with_its_sdist(
    farm: Farm, server: Server, catalogue: Catalogue
) -> None:
    catalogue.projects["de-mo"] = [
        File("de_mo-1.0.tar.gz", requires_python=">=3.9"),
        File("de_mo-1.0-py3-none-any.whl"),
        File("De.Mo-2.0RC1.zip", requires_python=">=3.12"),
    ]
    done = run(farm, server, "De.Mo")["de-mo"]
    # Trixie's Python is 3.13, bookworm's is 3.11.
    assert (done.versions, done.new_versions, done.queued, done.error) == (2, 2, 3, None)
    assert farm.states("bookworm") == {"de-mo 1.0": "pending"}
    assert farm.states("trixie") == {"de-mo 2.0rc1": "pending", "de-mo 1.0": "pending"}
    assert farm.rows("SELECT name, display_name, followed FROM projects") == [
        ("de-mo", "De.Mo", True)
    ]
    urls = farm.rows("SELECT filename, kind, url, sha256 FROM upstream_files ORDER BY filename")
    assert urls == [
        (f.filename, "wheel" if f.filename.endswith("whl") else "sdist", f.url, f.sha256)
        for f in sorted(catalogue.projects["de-mo"], key=lambda f: f.filename)
    ]
    times = farm.rows("SELECT DISTINCT released_at FROM versions")
    sizes = farm.rows("SELECT DISTINCT size_bytes FROM upstream_files")
    # HTML has neither.
    assert all(bool(value) == catalogue.has_json for (value,) in times + sizes)
    assert "wheelyard/" in catalogue.accepted[0]
    assert "https://farm.example" in catalogue.accepted[0]


def test_a_second_sync_changes_nothing(farm: Farm, server: Server, catalogue: Catalogue) -> None:
    catalogue.projects["demo"] = [File("demo-1.0.tar.gz"), File("demo-1.1.tar.gz", yanked="bad")]
    assert run(farm, server, "demo")["demo"].changed
    farm.rows("UPDATE projects SET dirty_since = NULL")
    before = farm.rows("SELECT * FROM versions, upstream_files, jobs")
    farm.later(hours=1)
    assert not run(farm, server, "demo")["demo"].changed
    assert farm.rows("SELECT * FROM versions, upstream_files, jobs") == before
    assert farm.value("SELECT dirty_since FROM projects") is None
    assert farm.value("SELECT synced_at FROM projects") == farm.now


def test_what_is_taken_off_the_list_is_no_longer_followed(
    farm: Farm, server: Server, catalogue: Catalogue
) -> None:
    followed = "SELECT name FROM projects WHERE followed ORDER BY name"
    for name in ("a", "b", "c"):
        catalogue.projects[name] = [File(f"{name}-1.0.tar.gz")]
    run(farm, server, "a", "b")
    # Named ones stay as they are, and a new one isn't in the list.
    run(farm, server, "b", "c", followed=False)
    assert farm.rows(followed) == [("a",), ("b",)]
    assert farm.states() == {"a 1.0": "pending", "b 1.0": "pending"}
    run(farm, server, "b", check=True)
    assert farm.rows(followed) == [("a",), ("b",)]
    assert farm.states() == {"a 1.0": "pending", "b 1.0": "pending"}
    run(farm, server, "b")
    assert farm.rows(followed) == [("b",)]
    assert farm.states() == {"a 1.0": "skipped", "b 1.0": "pending"}
    # Who looks into it doesn't bring it back.
    run(farm, server, "a", followed=False)
    assert farm.states() == {"a 1.0": "skipped", "b 1.0": "pending"}
    run(farm, server, "a", "b")
    assert farm.states() == {"a 1.0": "pending", "b 1.0": "pending"}
    # The list holds though the index can't be read.
    catalogue.status = 403
    run(farm, server, "b")
    assert farm.rows(followed) == [("b",)]
    assert farm.states() == {"a 1.0": "skipped", "b 1.0": "pending"}


def test_what_was_named_or_leased_is_built_though_its_project_is_dropped(
    farm: Farm, server: Server
) -> None:
    server.catalogue.projects["demo"] = [File(f"demo-{v}.tar.gz") for v in ("1.0", "2.0", "3.0")]
    run(farm, server, "demo")
    with farm.connect("sync") as conn, db.transaction(conn) as cursor:
        jobs_request.queue(cursor, ["demo==1.0"], {}, farm.targets, farm.now)
    named, leased, failed = farm.keys("pi1", {"pi1": "bookworm"})
    farm.send("pi1", failed)
    farm.gather(pi1=said(queued=[named, leased], done=[failed]))
    farm.rows("UPDATE projects SET dirty_since = NULL")
    run(farm, server)
    states = {"demo 3.0": "leased", "demo 2.0": "failed", "demo 1.0": "leased"}
    assert farm.states("bookworm") == states
    assert farm.states("trixie") == {
        "demo 3.0": "skipped",
        "demo 2.0": "skipped",
        "demo 1.0": "pending",
    }
    assert farm.rows("SELECT DISTINCT reason FROM jobs WHERE state = 'skipped'") == [
        ("the farm doesn't follow its project",)
    ]
    assert farm.value("SELECT dirty_since FROM projects") == farm.now
    # Pi1 loses it: nobody else shall build it.
    farm.gather(pi1=said(queued=[named]))
    run(farm, server)
    assert farm.states("bookworm") == {**states, "demo 3.0": "skipped"}


def test_check_mode_writes_nothing(farm: Farm, server: Server) -> None:
    server.catalogue.projects["demo"] = [File("demo-1.0.tar.gz")]
    assert run(farm, server, "demo", check=True)["demo"].queued == 2
    assert farm.rows("SELECT * FROM projects") == []
    assert farm.rows("SELECT * FROM sync_state") == []


def test_what_vanishes_is_kept_as_gone_and_leaves_the_queue(
    farm: Farm, server: Server, catalogue: Catalogue
) -> None:
    files = [File("demo-1.0.tar.gz"), File("demo-1.1.tar.gz")]
    catalogue.projects["demo"] = files
    run(farm, server, "demo")
    catalogue.projects["demo"] = files[:1]
    assert run(farm, server, "demo")["demo"].changed
    assert farm.states() == {"demo 1.0": "pending", "demo 1.1": "skipped"}
    assert farm.value("SELECT reason FROM jobs WHERE state = 'skipped'") == "gone from the index"
    assert farm.value("SELECT bool_or(present) FROM versions WHERE version = '1.1'") is False
    assert farm.value("SELECT count(*) FROM upstream_files WHERE NOT present") == 1
    catalogue.projects["demo"] = files
    run(farm, server, "demo")
    assert farm.states() == {"demo 1.0": "pending", "demo 1.1": "pending"}


def test_yanking_takes_a_job_back_and_unyanking_returns_it(
    farm: Farm, server: Server, catalogue: Catalogue
) -> None:
    catalogue.projects["demo"] = [File("demo-1.0.tar.gz")]
    run(farm, server, "demo")
    catalogue.projects["demo"][0].yanked = "breaks & burns"
    run(farm, server, "demo")
    assert farm.states() == {"demo 1.0": "skipped"}
    assert farm.rows("SELECT yanked, yanked_reason FROM versions") == [(True, "breaks & burns")]
    catalogue.projects["demo"][0].yanked = False
    run(farm, server, "demo")
    assert farm.states() == {"demo 1.0": "pending"}
    assert farm.rows("SELECT yanked, yanked_reason FROM versions") == [(False, None)]


def test_what_cant_be_stored_is_left_out_and_counted(
    farm: Farm, server: Server, catalogue: Catalogue
) -> None:
    catalogue.projects["demo"] = [
        File("demo-1.0.tar.gz"),
        File("demo-2004-spring.tar.gz"),
        File("demo-1.0.win32.exe"),
        File("demo-1.0-py2.7.egg"),
        File("demo-1.0.tar.bz2"),
        File("demo-1.1 .tar.gz"),
        File("other-1.0.tar.gz"),
        File(f"demo-{'1' * 201}.tar.gz"),
        File(f"demo-{'1' * 5000}.tar.gz"),
    ]
    server.catalogue.facts = {"versions": ["1.0"]}
    done = run(farm, server, "demo")["demo"]
    # An installer, an egg and an old kind of sdist are nothing that is wrong.
    assert (done.versions, done.ignored, done.error) == (1, 5, None)
    assert farm.rows("SELECT filename FROM upstream_files") == [("demo-1.0.tar.gz",)]
    lines, count = farm.rows("SELECT ignored, ignored_count FROM projects")[0]
    assert (lines[0], count) == (
        "demo-2004-spring.tar.gz: its version is not a valid one (PEP 440)",
        5,
    )


def test_a_file_that_no_builder_would_fetch_is_left_out_and_named(
    farm: Farm, server: Server, catalogue: Catalogue
) -> None:
    catalogue.projects["demo"] = [
        File("demo-1.0.tar.gz"),
        File("demo-2.0.tar.gz", url="http://files.example/demo-2.0.tar.gz"),
    ]
    done = run(farm, server, "demo")["demo"]
    assert (done.queued, done.ignored) == (2, 1)
    assert "files of demo are left out (demo-2.0.tar.gz), as" in (done.error or "")
    assert farm.rows("SELECT filename FROM upstream_files") == [("demo-1.0.tar.gz",)]


def test_a_file_without_a_sha256_gets_no_job(
    farm: Farm, server: Server, catalogue: Catalogue
) -> None:
    catalogue.projects["demo"] = [File("demo-1.0.tar.gz", sha256=None)]
    assert run(farm, server, "demo")["demo"].queued == 0
    assert farm.states() == {}


def test_a_name_that_another_project_has_already_is_left_to_it(
    farm: Farm, server: Server, catalogue: Catalogue
) -> None:
    catalogue.projects["a"] = [File("a-b-1.0.tar.gz")]  # version b-1.0, which is none
    catalogue.projects["a-b"] = [File("a-b-1.0.tar.gz")]
    run(farm, server, "a", "a-b")
    assert farm.states() == {"a-b 1.0": "pending"}


def test_a_project_that_the_index_lacks_stops_no_other(
    farm: Farm, server: Server, catalogue: Catalogue
) -> None:
    catalogue.projects["demo"] = [File("demo-1.0.tar.gz")]
    done = run(farm, server, "missing", "demo")
    assert done["demo"].queued == 2
    assert f"the index {server.url} has no project missing" in (done["missing"].error or "")
    notes = dict(farm.rows("SELECT key, value FROM sync_state"))
    assert notes["last_sync"] == "1 projects"
    error = done["missing"].error
    assert notes["last_sync_error"] == f"1 of 2 projects could not be synced: {error}"


def test_odd_data_costs_no_more_than_itself(farm: Farm, server: Server) -> None:
    odd = {
        "a": File("a-1.0.tar.gz", size=-1),
        "b": File("b-1.0.tar.gz", size=1 << 70),
        "c": File("c-1.0.tar.gz", yanked="no\0text"),
        "d": File("d-1.0.tar.gz", requires_python=">=3\0"),
        "e": File("e-1.0.tar.gz", requires_python="\ud800"),
        "f": File("f-1.0.tar.gz", requires_python=">=3," * 1000),
        "g": File("g-1.0.tar.gz", upload_time="0001-01-01T00:00:00+14:00"),
        "h": File("h-1.0.tar.gz", upload_time="9999-12-31T23:59:59-14:00"),
    }
    server.catalogue.projects = {name: [file] for name, file in odd.items()}
    done = run(farm, server, *odd)
    assert {name: synced.error for name, synced in done.items()} == dict.fromkeys(odd)
    queued = {name: synced.queued for name, synced in done.items()}
    assert queued == {**dict.fromkeys(odd, 2), "c": 0}
    assert farm.rows(
        "SELECT DISTINCT requires_python FROM upstream_files"
        " UNION SELECT yanked_reason FROM versions WHERE yanked"
    ) == [(None,), ("no text",)]


def test_what_cant_be_stored_of_some_projects_stops_no_other(
    farm: Farm, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "_MAX_BYTES", 1 << 80)
    server.catalogue.projects = {
        "a": [File("a-1.0.tar.gz", size=1 << 70)],
        "d": [File("d-1.0.tar.gz", upload_time="yesterday")],
        "demo": [File("demo-1.0.tar.gz")],
    }
    done = run(farm, server, "a", "d", "demo")
    assert "what the index says of a can't be stored (" in (done["a"].error or "")
    assert "answers for d with something that is not a page" in (done["d"].error or "")
    assert (done["demo"].queued, done["demo"].error) == (2, None)
    assert farm.rows("SELECT name FROM projects") == [("demo",)]


def test_a_python_that_cant_be_compared_excludes_nothing(farm: Farm, server: Server) -> None:
    requires = f">={'9' * 5000}"
    server.catalogue.projects["demo"] = [File("demo-1.0.tar.gz", requires_python=requires)]
    done = run(farm, server, "demo")["demo"]
    assert (done.queued, done.error) == (2, None)


def test_a_yanked_version_that_was_asked_for_waits_for_its_sdist(
    farm: Farm, server: Server, catalogue: Catalogue
) -> None:
    files = [
        File("demo-1.0.tar.gz", yanked="bad"),
        File("demo-1.0-py3-none-any.whl", yanked="bad"),
    ]
    catalogue.projects["demo"] = files
    run(farm, server, "demo")
    with farm.connect("sync") as conn, db.transaction(conn) as cursor:
        jobs_request.queue(cursor, ["demo==1.0"], {}, farm.targets, farm.now)
    run(farm, server, "demo")
    assert farm.states() == {"demo 1.0": "pending"}
    catalogue.projects["demo"] = files[1:]
    assert run(farm, server, "demo")["demo"].error is None
    assert farm.states() == {"demo 1.0": "skipped"}
    assert farm.value("SELECT DISTINCT reason FROM jobs") == "no sdist with a sha256 on the index"
    catalogue.projects["demo"] = files
    run(farm, server, "demo")
    assert farm.states() == {"demo 1.0": "pending"}


def test_a_project_that_the_index_deleted_is_not_offered_any_longer(
    farm: Farm, server: Server, catalogue: Catalogue
) -> None:
    catalogue.projects["demo"] = [File("demo-1.0.tar.gz"), File("demo-2.0.tar.gz")]
    catalogue.projects["other"] = [File("other-1.0.tar.gz")]
    run(farm, server, "Demo", "other", newest=1)
    (key,) = farm.keys("pi1", {"pi1": "bookworm"})[:1]
    farm.send("pi1", key, Forge(version="2.0"))
    farm.gather(pi1=said(done=[key]))
    wheel = "demo-2.0-cp311-cp311-linux_armv7l.whl"
    site = farm.config.state_dir / "site"

    def publish_all() -> list[str]:
        with farm.connect("site") as conn:
            projects = publish.render(conn, farm.config).projects
            publish.mark_published(conn, farm.config)
        return projects

    publish_all()
    assert wheel in (site / "simple/demo/index.html").read_text()
    del catalogue.projects["demo"]
    done = run(farm, server, "Demo", "other", newest=1)
    assert "has no project demo" in (done["demo"].error or "")
    assert "not offered any longer" in (done["demo"].error or "")
    assert done["demo"].changed
    assert farm.value("SELECT bool_or(v.present OR f.present) FROM versions v"
                      " JOIN upstream_files f USING (version_id) JOIN projects p USING (project_id)"
                      " WHERE p.name = 'demo'") is False  # fmt: skip
    assert farm.states("trixie") == {"demo 2.0": "skipped", "other 1.0": "pending"}
    assert farm.rows("SELECT display_name, followed FROM projects WHERE name = 'demo'") == [
        ("Demo", True)
    ]
    # Nothing of it is left for pip, people are told why, and the store keeps the wheel.
    assert publish_all() == ["demo"]
    assert not (site / "simple/demo").exists()
    assert not (site / "files/demo").exists()
    assert "demo" not in (site / "simple/index.html").read_text()
    page = (site / "project/demo/index.html").read_text()
    assert "PyPI has removed this project" in page
    assert wheel not in page
    assert (farm.config.store / "demo" / wheel).exists()
    # The next sync has nothing to do, and says so all the same.
    again = run(farm, server, "Demo", "other", newest=1)["demo"]
    assert (again.changed, again.error) == (False, done["demo"].error)
    catalogue.projects["demo"] = [File("demo-1.0.tar.gz"), File("demo-2.0.tar.gz")]
    run(farm, server, "Demo", "other", newest=1)
    publish_all()
    assert wheel in (site / "simple/demo/index.html").read_text()


def test_an_index_that_lacks_every_project_takes_none_off_the_site(
    farm: Farm, server: Server
) -> None:
    server.catalogue.projects = {name: [File(f"{name}-1.0.tar.gz")] for name in ("a", "b")}
    run(farm, server, "a", "b")
    server.catalogue.projects = {}
    done = run(farm, server, "a", "b")
    assert {synced.error for synced in done.values()} == {done["a"].error}
    assert "2 of the 2 versions that the farm has would vanish (a, b)" in (done["a"].error or "")
    assert "farm_pypi_max_loss_percent is 10" in (done["a"].error or "")
    assert farm.rows("SELECT DISTINCT present FROM versions") == [(True,)]
    # Unless somebody says that it's right.
    run(farm, server, "a", "b", max_loss=None)
    assert farm.rows("SELECT DISTINCT present FROM versions") == [(False,)]


@pytest.mark.parametrize(
    ("status", "cause"), [(500, "answers 500 Internal"), (403, "answers 403 Forbidden")]
)
def test_an_index_that_fails_is_named_with_the_cause(
    farm: Farm, server: Server, monkeypatch: pytest.MonkeyPatch, status: int, cause: str
) -> None:
    monkeypatch.setattr(pypi, "RETRIES", 0)
    server.catalogue.status = status
    error = run(farm, server, "demo")["demo"].error or ""
    assert server.url in error
    assert cause in error
    assert farm.rows("SELECT name FROM projects") == []


def test_an_index_that_is_off_is_named_and_not_tried_for_ever(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pypi, "RETRIES", 0)
    with Server(Catalogue()) as server:
        pass
    done = run(farm, server, "a", "b", "c", "d", "e")
    assert "Connection refused" in (done["a"].error or "")
    assert server.url in (done["a"].error or "")
    assert "not tried" in (done["e"].error or "")
    notes = dict(farm.rows("SELECT key, updated_at FROM sync_state"))
    assert notes["last_sync_error"] == START
    assert "last_sync" not in notes


def test_an_answer_that_is_no_index_page_is_named(farm: Farm) -> None:
    with Server(Catalogue()) as server:
        server.catalogue.kind = "application/pdf"
        server.catalogue.projects["demo"] = []
        error = run(farm, server, "demo")["demo"].error or ""
        assert "answers for demo with something that is not a page" in error


def test_two_syncs_dont_run_at_once(farm: Farm, server: Server) -> None:
    server.catalogue.projects["demo"] = [File("demo-1.0.tar.gz")]
    with farm.connect("sync") as first, farm.connect("sync") as second:
        db.lock(first, db.Lock.SYNC)
        with second.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
        second.commit()
        with pytest.raises(db.BusyError, match="another sync has been under way"):
            db.lock(second, db.Lock.SYNC)
