"""An index that answers late, in part or not at all is not asked for ever, and is named."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

import pytest

from master.upstream import pypi
from tests.support.farm import Sync
from tests.support.index import Answer, File, Server


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
