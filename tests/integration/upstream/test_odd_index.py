"""An index that answers oddly costs the farm nothing that it has, and is named."""

from __future__ import annotations

import pytest

from master.database import connection as db
from master.status import read, render
from master.upstream import sync
from tests.support.farm import Farm, Sync, present
from tests.support.index import JSON_TYPE, LOGIN_PAGE, Answer, File, Server, page


@pytest.mark.parametrize(
    "answer",
    [
        LOGIN_PAGE,
        Answer(body=b"<html><body>We'll be back at noon.</body></html>"),
        Answer(),
        Answer(kind=JSON_TYPE),
        Answer(kind=JSON_TYPE, body=b'{"error": "maintenance"}'),
        Answer(kind="text/plain", body=b"ok"),
    ],
    ids=["login", "maintenance", "empty", "empty JSON", "another JSON", "text"],
)
def test_what_is_not_a_page_takes_nothing_off_and_is_named_again_and_again(
    farm: Farm, server: Server, run: Sync, answer: Answer
) -> None:
    names = ("a", "b", "c", "d")
    server.catalogue.projects = {name: [File(f"{name}-1.0.tar.gz")] for name in names}
    run(*names)
    server.catalogue.answers["*"] = answer
    for _ in range(3):
        farm.later(hours=1)
        done = run(*names)
        # Each for itself: none is "not tried".
        for name in names:
            assert f"answers for {name} with something that is not a page" in (
                done[name].error or ""
            )
        assert present(farm) == [f"{name} 1.0" for name in names]
        assert set(farm.states().values()) == {"pending"}
    error = farm.value("SELECT value FROM sync_state WHERE key = 'last_sync_error'")
    assert error.startswith("no project could be synced: the index http://127.0.0.1:")
    assert error.endswith("(and 3 other errors)")


def test_another_server_in_place_of_the_index_is_not_asked_for_ever(
    server: Server, run: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "BAD_PAGES_LIMIT", 5)
    server.catalogue.answers["*"] = LOGIN_PAGE
    server.catalogue.answers["good"] = page("good", versions=["1.0"])
    done = run("a", "good", *"bcdefgh")
    assert [name for name, synced in done.items() if "not tried" in (synced.error or "")] == [*"gh"]


def test_links_that_are_files_of_none_but_others_are_not_a_page(
    farm: Farm, server: Server, run: Sync
) -> None:
    server.catalogue.projects = {"demo": [File("demo-1.0.tar.gz")]}
    run("demo")
    server.catalogue.projects["demo"] = [File("other-1.0.tar.gz")]
    assert "none of its 1 links is a file of demo" in (run("demo")["demo"].error or "")
    assert present(farm) == ["demo 1.0"]


def test_the_page_of_another_project_is_not_a_page(farm: Farm, server: Server, run: Sync) -> None:
    server.catalogue.projects = {"demo": [File("demo-1.0.tar.gz")], "x": [File("x-1.0.tar.gz")]}
    run("demo", "x")
    other = {"filename": "other-9.0.tar.gz", "url": "https://files.example/o", "hashes": {}}
    server.catalogue.answers["demo"] = page("other", versions=["9.0"], files=[other])
    assert "it is the page of other" in (run("demo", "x")["demo"].error or "")
    server.catalogue.answers["demo"] = page("demo", versions=["9.0"], files=[other])
    assert "is a file of demo" in (run("demo", "x")["demo"].error or "")
    assert present(farm) == ["demo 1.0", "x 1.0"]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=b"<![n<a>x</a>"),
        Answer(kind=JSON_TYPE, body=b"[" * 200_000),
        Answer(body=b"<a href='https://[oops/a-1.0.tar.gz'>a-1.0.tar.gz</a>"),
    ],
    ids=["broken markup", "deep JSON", "broken address"],
)
def test_a_page_that_breaks_its_parser_stops_no_other(
    server: Server, run: Sync, answer: Answer
) -> None:
    server.catalogue.answers["a"] = answer
    server.catalogue.projects = {"b": [File("b-1.0.tar.gz")]}
    done = run("a", "b")
    assert "something that is not a page" in (done["a"].error or "")
    assert (done["b"].queued, done["b"].error) == (2, None)


@pytest.mark.parametrize(
    "facts",
    [
        {"project-status": {"status": "frozen"}},
        {"project-status": None},
        {"alternate-locations": None},
        {"meta": {"api-version": "1.1", "tracks": None, "_last-serial": 1.5}},
        {"versions": ["1.0", None, 3]},
        {"files-of-tomorrow": 1},
    ],
    ids=str,
)
def test_odd_facts_of_a_page_cost_none_of_its_files(
    server: Server, run: Sync, facts: dict[str, object]
) -> None:
    file = {
        "filename": "demo-1.0.tar.gz",
        "url": "https://files.example/demo-1.0.tar.gz",
        "hashes": {"sha256": "a" * 64},
        "core-metadata": "true",
        "provenance": 7,
        "gpg-sig": "yes",
    }
    server.catalogue.answers["demo"] = page("demo", **{"files": [file], **facts})
    done = run("demo")["demo"]
    assert (done.versions, done.queued, done.error) == (1, 2, None)


def test_a_name_that_is_too_long_costs_no_more_than_its_file(server: Server, run: Sync) -> None:
    names = [f"demo-{'9' * 5000}-py3-none-any.whl", f"demo-1.0-{'9' * 5000}-py3-none-any.whl"]
    server.catalogue.projects = {"demo": [File("demo-1.0.tar.gz"), *map(File, names)]}
    server.catalogue.facts = {"versions": ["1.0"]}
    done = run("demo")["demo"]
    assert (done.queued, done.ignored, done.error) == (2, 2, None)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"hashes": None}, "hashes: "),
        ({"yanked": None}, "yanked"),
        ({"upload-time": ""}, "upload-time: "),
        ({"url": None}, "url: "),
    ],
    ids=str,
)
def test_a_file_that_is_described_wrongly_is_left_out_alone(
    farm: Farm, server: Server, run: Sync, wrong: dict[str, object], why: str
) -> None:
    good = {
        "filename": "demo-1.0.tar.gz",
        "url": "https://files.example/demo-1.0.tar.gz",
        "hashes": {"sha256": "a" * 64},
    }
    bad = {**good, "filename": "demo-1.1.tar.gz", **wrong}
    odd = [bad, {k: v for k, v in bad.items() if v is not None}, "demo-1.2.tar.gz"]
    if "yanked" in wrong:
        del odd[1]  # without yanked it's a good one
    server.catalogue.answers["demo"] = page("demo", files=[good, *odd])
    done = run("demo")["demo"]
    assert (done.versions, done.queued, done.ignored, done.error) == (1, 2, len(odd), None)
    assert farm.states() == {"demo 1.0": "pending"}
    ignored = farm.value("SELECT ignored FROM projects")
    assert ignored[0].startswith("demo-1.1.tar.gz: ")
    assert why in ignored[0]


def test_no_version_comes_of_a_name_that_only_looks_like_one(
    farm: Farm, server: Server, run: Sync
) -> None:
    server.catalogue.projects = {
        "demo": [
            File("demo-0.1-final-final-py3-none-any.whl"),
            File("demo-0.2.tar.gz"),
            File("demo-0.3.tar.gz"),
        ]
    }
    server.catalogue.facts = {"versions": ["0.2", "2004-spring"]}
    done = run("demo")["demo"]
    assert (done.versions, done.ignored) == (1, 3)
    assert present(farm) == ["demo 0.2"]
    assert farm.value("SELECT ignored FROM projects") == [
        "version 2004-spring: not a valid version (PEP 440)",
        "demo-0.1-final-final-py3-none-any.whl: not the name of a wheel (PEP 427)",
        "demo-0.3.tar.gz: the index has no version 0.3",
    ]


def test_two_spellings_of_a_version_count_once(farm: Farm, server: Server, run: Sync) -> None:
    server.catalogue.projects = {
        "demo": [File(f"demo-{v}.tar.gz") for v in ("0.9", "1.0", "1.0.0", "1")]
    }
    run("demo", newest=2)
    (one,) = (text for text in farm.states() if text != "demo 0.9")
    assert one in {"demo 1.0", "demo 1.0.0", "demo 1"}
    assert farm.states()["demo 0.9"] == "pending"
    before = farm.states()
    run("demo", newest=2)
    assert farm.states() == before


def test_what_is_left_out_is_told_on_request_and_a_sync_while_it_runs(
    farm: Farm, server: Server, run: Sync
) -> None:
    server.catalogue.projects = {"demo": [File(f"demo-{n}-x-y.tar.gz") for n in range(12)]}
    server.catalogue.projects["demo"].append(File("demo-1.0.tar.gz"))
    run("demo")
    with farm.connect("readonly") as conn:
        state = read.read(conn, farm.config, farm.now, ignored=True)
        lines = render.ignored(state)
        assert lines[0] == "demo: 12 of its versions and files can't be used"
        assert lines[1] == "  demo-0-x-y.tar.gz: its version is not a valid one (PEP 440)"
        assert lines[-1] == "  and 2 more"
    with farm.connect("readonly") as conn:
        state = read.read(conn, farm.config, farm.now)
        assert (state.is_syncing, state.ignored) == (False, ())
        assert not any(line.startswith("syncing") for line in render.status(state))
    with farm.connect("sync") as running:
        db.lock(running, db.Lock.SYNC)
        with farm.connect("readonly") as conn:
            state = read.read(conn, farm.config, farm.now)
            # Something else holds the lock: that sync has ended.
            assert not any(line.startswith("syncing") for line in render.status(state))
        farm.rows(
            "UPDATE sync_state SET updated_at = %s WHERE key = 'sync_began'", farm.later(hours=1)
        )
        with farm.connect("readonly") as conn:
            state = read.read(conn, farm.config, farm.later(minutes=3))
        assert "syncing       for 3 min: 0 of 1 projects read" in render.status(state)
