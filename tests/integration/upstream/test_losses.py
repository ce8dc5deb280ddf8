"""What an index no longer has is believed when that is likely, or when somebody says so."""

from __future__ import annotations

import pytest

from master.upstream import sync
from tests.support.farm import Farm, Sync, present
from tests.support.index import Answer, File, Server, page

META = '<meta name="pypi:repository-version" content="1.1">'


def test_a_page_of_which_nothing_can_be_used_is_never_believed(
    farm: Farm, server: Server, run: Sync
) -> None:
    server.catalogue.projects = {"demo": [File("demo-1.0.tar.gz")], "x": [File("x-1.0.tar.gz")]}
    run("demo", "x")
    server.catalogue.projects["demo"][0].url = "http://files.example/demo-1.0.tar.gz"
    for _ in range(3):
        error = run("demo", "x")["demo"].error or ""
        assert "demo-1.0.tar.gz: its address is not https" in error
        assert present(farm) == ["demo 1.0", "x 1.0"]
        assert set(farm.states().values()) == {"pending"}


def test_a_page_that_has_lost_its_files_alone_is_as_suspicious(
    farm: Farm, server: Server, run: Sync
) -> None:
    server.catalogue.projects = {"demo": [File("demo-1.0.tar.gz")], "x": [File("x-1.0.tar.gz")]}
    run("demo", "x")
    server.catalogue.answers["demo"] = page("demo", versions=["1.0"])
    assert "lists nothing of demo any more" in (run("demo", "x")["demo"].error or "")
    assert set(farm.states().values()) == {"pending"}


def test_a_project_that_is_most_of_the_farm_is_held_back_if_it_lists_other_versions(
    farm: Farm, server: Server, run: Sync
) -> None:
    server.catalogue.projects = {
        "demo": [File(f"demo-{number}.tar.gz") for number in range(30)],
        "x": [File("x-1.0.tar.gz")],
    }
    run("demo", "x")
    server.catalogue.projects["demo"] = [File("demo-99.tar.gz")]
    assert "30 of the 31 versions" in (run("demo", "x")["demo"].error or "")
    assert len(present(farm)) == 31


def test_an_index_that_was_set_back_is_believed_when_somebody_says_so(
    farm: Farm, server: Server, run: Sync
) -> None:
    server.catalogue.projects = {"demo": [File("demo-1.0.tar.gz")]}
    server.catalogue.serial = 10**17
    run("demo")
    server.catalogue.serial = 30
    assert "sync_accept_losses=true" in (run("demo")["demo"].error or "")
    assert run("demo", max_loss=None)["demo"].error is None
    assert farm.value("SELECT serial FROM projects") == 30


@pytest.mark.parametrize(
    "answer",
    [page("a"), page("a", versions=[]), Answer(body=f"<html>{META}</html>".encode())],
    ids=["JSON", "JSON with versions", "HTML"],
)
def test_an_empty_page_is_believed_the_second_time(
    farm: Farm, server: Server, run: Sync, answer: Answer
) -> None:
    server.catalogue.projects = {
        "a": [File("a-1.0.tar.gz")],
        "b": [File(f"b-{number}.tar.gz") for number in range(20)],
    }
    run("a", "b")
    server.catalogue.answers["a"] = answer
    assert "lists nothing of a any more" in (run("a", "b")["a"].error or "")
    assert "a 1.0" in present(farm)
    # A good one in between, and it is the first time again.
    server.catalogue.answers.clear()
    assert run("a", "b")["a"].error is None
    server.catalogue.answers["a"] = answer
    assert "lists nothing" in (run("a", "b")["a"].error or "")
    done = run("a", "b")["a"]
    assert (done.error, done.changed, done.lost) == (None, True, 1)
    assert "a 1.0" not in present(farm)


def test_a_quarantined_project_is_believed_at_once(farm: Farm, server: Server, run: Sync) -> None:
    server.catalogue.projects = {
        "a": [File("a-1.0.tar.gz")],
        "b": [File(f"b-{number}.tar.gz") for number in range(20)],
    }
    run("a", "b")
    status = {"status": "quarantined", "reason": "malware"}
    server.catalogue.answers["a"] = page("a", **{"project-status": status})
    assert run("a", "b")["a"].error is None
    assert "a 1.0" not in present(farm)


def test_more_than_the_allowed_share_is_held_back_whatever_the_cause(
    farm: Farm, server: Server, run: Sync
) -> None:
    names = [f"p{number}" for number in range(10)]
    server.catalogue.projects = {name: [File(f"{name}-1.0.tar.gz")] for name in names}
    run(*names)
    server.catalogue.projects["p9"].append(File("p9-1.1.tar.gz"))
    # One is deleted, one quarantined, one lists other versions.
    del server.catalogue.projects["p0"]
    server.catalogue.answers["p1"] = page("p1", **{"project-status": {"status": "quarantined"}})
    server.catalogue.projects["p2"] = [File("p2-9.0.tar.gz")]
    done = run(*names)
    held = {name for name, synced in done.items() if "held back" in (synced.error or "")}
    assert held == {"p0", "p1", "p2"}
    assert "3 of the 10 versions" in (done["p0"].error or "")
    assert {"p0 1.0", "p1 1.0", "p2 1.0", "p9 1.1"} <= set(present(farm))
    # One line for all of them.
    assert len(sync.errors(done)) == 1
    # Allowed, it goes on; and a share that is large enough needs no word.
    done = run(*names, max_loss=0.3)
    assert "not offered any longer" in (done["p0"].error or "")
    assert (done["p1"].error, done["p2"].error) == (None, None)
    assert not {"p0 1.0", "p1 1.0", "p2 1.0"} & set(present(farm))


def test_one_project_that_goes_is_believed_unless_there_is_no_other(
    farm: Farm, server: Server, run: Sync
) -> None:
    server.catalogue.projects = {name: [File(f"{name}-1.0.tar.gz")] for name in ("a", "b")}
    run("a", "b")
    del server.catalogue.projects["a"]
    assert "not offered any longer" in (run("a", "b")["a"].error or "")
    assert present(farm) == ["b 1.0"]
    del server.catalogue.projects["b"]
    assert "1 of the 1 versions that the farm has" in (run("a", "b")["b"].error or "")
    assert present(farm) == ["b 1.0"]
    run("b", max_loss=None)
    assert present(farm) == []


def test_settings_that_want_less_are_no_loss(farm: Farm, server: Server, run: Sync) -> None:
    server.catalogue.projects = {
        name: [File(f"{name}-{version}.tar.gz") for version in ("1.0", "2.0")]
        for name in ("a", "b")
    }
    run("a", "b")
    assert all(synced.error is None for synced in run("a", "b", newest=1).values())
    assert farm.states() == {
        "a 1.0": "skipped", "a 2.0": "pending", "b 1.0": "skipped", "b 2.0": "pending",
    }  # fmt: skip


def test_a_page_that_is_older_than_the_last_is_not_taken(
    farm: Farm, server: Server, run: Sync
) -> None:
    old, new = File("demo-1.0.tar.gz"), File("demo-1.1.tar.gz")
    server.catalogue.projects = {"demo": [old, new]}
    server.catalogue.serial = 20
    run("demo", newest=1)
    assert farm.states() == {"demo 1.1": "pending"}
    server.catalogue.projects["demo"] = [old]
    server.catalogue.serial = 9
    error = run("demo", newest=1)["demo"].error or ""
    assert "an older page than before (serial 9, and 20 was seen)" in error
    assert farm.states() == {"demo 1.1": "pending"}
    assert present(farm) == ["demo 1.0", "demo 1.1"]
    # The number may stand in the page itself, and an index without any is believed.
    server.catalogue.serial = None
    server.catalogue.facts = {"meta": {"api-version": "1.1", "_last-serial": 19}}
    assert "serial 19" in (run("demo", newest=1)["demo"].error or "")
    server.catalogue.projects["demo"] = [old, new]
    server.catalogue.facts = {"meta": {"api-version": "1.1", "_last-serial": 20}}
    assert run("demo", newest=1)["demo"].error is None
    server.catalogue.facts = {}
    assert run("demo", newest=1)["demo"].error is None
    assert farm.value("SELECT serial FROM projects") == 20


def test_another_index_counts_anew(farm: Farm, server: Server, run: Sync) -> None:
    server.catalogue.projects = {"demo": [File("demo-1.0.tar.gz")]}
    server.catalogue.serial = 20
    run("demo")
    farm.rows("UPDATE sync_state SET value = 'https://old.example/' WHERE key = 'index_url'")
    server.catalogue.serial = 3
    assert run("demo")["demo"].error is None
    assert farm.value("SELECT serial FROM projects") == 3
