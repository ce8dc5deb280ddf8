"""An sdist comes whole, by https, within limits, or not at all; and who is to blame is told."""

from __future__ import annotations

import errno
import re
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path

import pytest

from builder import files
from builder.attempt import fetch
from protocol.job import Sdist
from tests.support.builder import sha256
from tests.support.index import Answer, Catalogue, Server
from tests.support.nginx import make_certificate

BODY = b"an sdist" * 1000
# That a client left before it had all that trickles.
LEFT = threading.Event()


def trickling(head: bytes) -> Answer:
    """Return an answer of a byte now and then, for longer than the client is to wait."""

    def write(stream: BufferedIOBase) -> None:
        stream.write(head)
        try:
            for _ in range(50):
                time.sleep(0.1)
                stream.write(b"x")
        except OSError:
            LEFT.set()

    return Answer(write=write)


ANSWERS = {
    **{str(status): Answer(status) for status in (400, 401, 403, 404, 410, 429, 451, 503)},
    "whole": Answer(body=BODY),
    "cut": Answer(body=BODY[:100], length=len(BODY)),
    "away": Answer(302, headers={"Location": "http://localhost:1/x"}),
    # HTTP/1.0: the length is what comes.
    "unsized": Answer(write=lambda stream: stream.write(b"HTTP/1.0 200 OK\r\n\r\n" + BODY)),
    "slow-headers": trickling(b"HTTP/1.0 200 OK\r\nX-Slow: "),
    "slow-redirect": trickling(
        b"HTTP/1.0 302 Found\r\nLocation: whole\r\nContent-Length: 8000\r\n\r\n"
    ),
    "slow-body": trickling(b"HTTP/1.0 200 OK\r\nContent-Length: 8000\r\n\r\n"),
}


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    make_certificate(folder / "crt", folder / "key")
    return folder


@pytest.fixture
def upstream(tls: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls / "crt", tls / "key")
    with Server(Catalogue(answers=ANSWERS), context) as server:
        yield server.url.rstrip("/")


def get(tls: Path, folder: Path, url: str, **changes: object) -> Path:
    size = changes.get("size_bytes")
    source = Sdist(
        "demo-1.0.tar.gz",
        url,
        str(changes.get("sha256", sha256(BODY))),
        None if size is None else int(str(size)),
    )
    return fetch.sdist(
        source,
        folder,
        max_bytes=int(str(changes.get("max_bytes", 1 << 20))),
        timeout_s=float(str(changes.get("timeout_s", 10.0))),
        context=ssl.create_default_context(cafile=str(tls / "crt")),
    )


def test_an_sdist_comes_whole(tls: Path, upstream: str, tmp_path: Path) -> None:
    for size in (None, len(BODY)):
        path = get(tls, tmp_path, f"{upstream}/whole", size_bytes=size)
        assert path == tmp_path / "demo-1.0.tar.gz"
        assert path.read_bytes() == BODY


OTHER = "is not the file that the index promised: "


@pytest.mark.parametrize(
    ("path", "changes", "code", "says"),
    [
        ("404", {}, "missing", "the server says 404"),
        ("410", {}, "missing", "the server says 410"),
        ("451", {}, "missing", "the server says 451"),
        ("400", {}, "network", "the server says 400"),
        ("401", {}, "network", "the server says 401"),
        ("403", {}, "network", "the server says 403"),
        ("503", {}, "network", "the server says 503"),
        ("429", {}, "network", "the server says 429"),
        ("away", {}, None, "which is not https"),
        ("cut", {}, "network", "it ended after 100 of 8000 bytes"),
        ("cut", {"size_bytes": 8000}, "network", "it ended after 100 of 8000 bytes"),
        ("whole", {"max_bytes": 100}, None, "larger than 100 bytes, the most that this farm"),
        ("whole", {"max_bytes": 100, "size_bytes": 8000}, None, "larger than 100 bytes, the most"),
        ("whole", {"size_bytes": 489}, "other-file", f"{OTHER}8000 bytes, not 489"),
        ("whole", {"size_bytes": 9000}, "other-file", f"{OTHER}8000 bytes, not 9000"),
        ("unsized", {"size_bytes": 489}, "other-file", f"{OTHER}more than 489 bytes"),
        ("unsized", {"size_bytes": 9000}, "other-file", f"{OTHER}8000 bytes, not 9000"),
        ("unsized", {"max_bytes": 100}, None, "larger than 100 bytes"),
        ("whole", {"sha256": "0" * 64}, "other-file", f"{OTHER}its sha256 is .*, not 0000"),
    ],
)
def test_what_can_not_be_had_leaves_nothing(  # noqa: PLR0917 -- fixtures and a table
    tls: Path,
    upstream: str,
    tmp_path: Path,
    path: str,
    changes: dict[str, object],
    code: str | None,
    says: str,
) -> None:
    with pytest.raises(fetch.FetchError, match=says) as caught:
        get(tls, tmp_path, f"{upstream}/{path}", **changes)
    assert caught.value.code == code
    assert f"{upstream}/{path}" in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["slow-headers", "slow-body"])
def test_a_server_that_trickles_is_left(
    tls: Path, upstream: str, tmp_path: Path, path: str
) -> None:
    LEFT.clear()
    with pytest.raises(fetch.FetchError, match=f"{path}: not there after 1 s") as caught:
        get(tls, tmp_path, f"{upstream}/{path}", timeout_s=1.0)
    assert caught.value.code == "network"
    assert LEFT.wait(10.0)
    assert not list(tmp_path.iterdir())
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_what_a_redirect_says_besides_is_not_waited_for(
    tls: Path, upstream: str, tmp_path: Path
) -> None:
    assert get(tls, tmp_path, f"{upstream}/slow-redirect").read_bytes() == BODY


def test_a_network_that_is_down_passes(tls: Path, tmp_path: Path) -> None:
    with pytest.raises(fetch.FetchError, match="Connection refused") as caught:
        get(tls, tmp_path, "https://localhost:1/x")
    assert caught.value.code == "network"


def test_a_certificate_that_nobody_vouches_for_is_refused(upstream: str, tmp_path: Path) -> None:
    source = Sdist("demo-1.0.tar.gz", f"{upstream}/whole", sha256(BODY))
    with pytest.raises(fetch.FetchError, match="certificate verify failed"):
        fetch.sdist(source, tmp_path, max_bytes=1 << 20, timeout_s=10.0)


def test_a_pause_grows_with_each_further_failure_and_begins_anew_after_a_success() -> None:
    now = 1000.0
    pause = fetch.Pause(clock=lambda: now)
    assert pause.refusal() is None
    lengths = []
    for _ in range(7):
        pause.begin("https://localhost/x: unreachable")
        started = now
        while (words := pause.refusal()) is not None:
            assert re.fullmatch(
                "can't fetch sdists: https://localhost/x: unreachable;"
                r" tries again at \d\d:\d\d:\d\d UTC",
                words,
            )
            now += 30
        lengths.append(now - started)
    assert lengths == [30, 60, 120, 240, 480, 600, 600]
    pause.begin("unreachable")
    pause.end()
    assert pause.refusal() is None
    pause.begin("unreachable")
    now += 30
    assert pause.refusal() is None


def test_a_full_disk_is_not_the_network(
    tls: Path, upstream: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fchmod", full)
    with pytest.raises(files.DiskFullError, match="No space left") as caught:
        get(tls, tmp_path, f"{upstream}/whole")
    assert not isinstance(caught.value, fetch.FetchError)
    assert not list(tmp_path.iterdir())


def test_a_pi_with_no_way_to_the_world_says_what_gives_it_one(
    tls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", unreachable)
    with pytest.raises(fetch.FetchError, match=r"NAT64 .*DNS64.*farm_proxy: true") as caught:
        get(tls, tmp_path, "https://files.example/whole")
    assert caught.value.code == "network"
