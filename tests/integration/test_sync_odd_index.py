"""An index that answers oddly costs the farm nothing that it has, and is named."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from master.database import connection as db
from master.status import read, render
from master.upstream import pypi, sync
from master.upstream.project import Synced
from tests.support.farm import Farm
from tests.support.index import JSON_TYPE, LOGIN_PAGE, Answer, Catalogue, File, Server

Sync = Callable[..., dict[str, Synced]]

META = '<meta name="pypi:repository-version" content="1.1">'


def page(name: str, **facts: object) -> Answer:
    """A JSON page without files."""
    value = {"meta": {"api-version": "1.1"}, "name": name, "files": [], **facts}
    return Answer(kind=JSON_TYPE, body=json.dumps(value).encode())


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(Catalogue()) as server:
        yield server


@pytest.fixture
def run(farm: Farm, server: Server) -> Sync:
    def call(*names: str, max_loss: float | None = 0.1, newest: int | None = None) -> Any:
        with farm.connect("sync") as conn, pypi.Index(server.url, "x") as index:
            return sync.projects(
                conn,
                index,
                names,
                targets=farm.targets,
                newest=newest,
                now=farm.now,
                max_loss=max_loss,
            )

    return call


def present(farm: Farm) -> list[str]:
    rows = farm.rows(
        "SELECT p.name || ' ' || version FROM versions JOIN projects p USING (project_id)"
        " WHERE present ORDER BY 1"
    )
    return [text for (text,) in rows]


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


def test_a_server_that_trickles_is_left(
    server: Server, run: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pypi, "PAGE_LIMIT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as slow:

        def trickle() -> None:
            client, _ = slow.accept()
            with client, suppress(OSError):
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
                while True:
                    client.sendall(b"x")
                    client.settimeout(0.05)
                    with suppress(TimeoutError):
                        client.recv(1)

        thread = threading.Thread(target=trickle)
        thread.start()
        url = f"http://127.0.0.1:{slow.getsockname()[1]}/simple/"
        with pypi.Index(url, "x") as index, pytest.raises(pypi.IndexUnreachableError) as raised:
            index.project("demo")
        thread.join()
    assert "takes longer than 0 s" in str(raised.value)


@pytest.mark.parametrize("body", [b"5\r\nhello\r\n", b"ff\r\nhello", b""], ids=repr)
def test_a_chunked_answer_that_is_cut_off_is_called_so(body: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for _ in range(2):
                with suppress(OSError), server.accept()[0] as client:
                    client.recv(1 << 16)
                    client.sendall(head + body)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/simple/"
        with pypi.Index(url, "x") as index, pytest.raises(pypi.UnreadablePageError) as raised:
            index.project("demo")
    assert "its answer was cut off" in str(raised.value)


def test_one_project_that_lists_other_versions_is_held_back_where_it_is_most_of_the_farm(
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


@pytest.mark.parametrize(
    "answer",
    [Answer(status=403), Answer(status=410), Answer(body=b"<html>", length=2000)],
    ids=["403", "410", "cut off"],
)
def test_what_is_one_project_s_own_trouble_stops_no_other(
    server: Server, run: Sync, answer: Answer
) -> None:
    server.catalogue.answers = dict.fromkeys("abcd", answer)
    server.catalogue.projects = {"demo": [File("demo-1.0.tar.gz")]}
    done = run("a", "b", "c", "d", "demo")
    assert (done["demo"].queued, done["demo"].error) == (2, None)
    assert all("can't be read for" in (done[name].error or "") for name in "abcd")


def test_a_page_that_is_cut_off_is_called_so(server: Server, run: Sync) -> None:
    server.catalogue.answers["demo"] = Answer(body=b"x" * 27, length=2000)
    error = run("demo")["demo"].error or ""
    assert "its answer was cut off (27 bytes came, 1973 more were due)" in error


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_index_that_is_down_is_not_asked_for_each_project(
    server: Server, run: Sync, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(pypi, "RETRIES", 0)
    server.catalogue.answers["*"] = Answer(status=status)
    done = run("a", "b", "c", "d")
    assert f"it answers {status} " in (done["c"].error or "")
    assert "not tried" in (done["d"].error or "")


def test_who_asks_to_be_left_alone_is_waited_for_no_longer_than_a_minute(
    server: Server, run: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    server.catalogue.answers["a"] = Answer(status=429, headers={"Retry-After": "20000"})
    server.catalogue.projects = {"b": [File("b-1.0.tar.gz")]}
    done = run("a", "b")
    assert 0 < sum(slept) <= 60
    assert "it asks to be left alone (Retry-After: 20000)" in (done["a"].error or "")
    assert (done["b"].queued, done["b"].error) == (2, None)


def test_a_failure_that_passes_is_asked_again(server: Server, run: Sync) -> None:
    server.catalogue.projects = {"a": [File("a-1.0.tar.gz")]}
    server.catalogue.answers["a"] = Answer(status=500)
    asked = server.catalogue.accepted

    class Passing(dict[str, Answer]):
        def __contains__(self, name: object) -> bool:
            return len(asked) < 3 and super().__contains__(name)

    server.catalogue.answers = Passing(server.catalogue.answers)
    assert run("a")["a"].error is None
    assert len(asked) == 3


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
        db.hold(running, db.Lock.SYNC)
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
