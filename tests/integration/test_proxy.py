"""The master's proxy leads Pis without IPv4 to what is listed, and to nothing else."""

from __future__ import annotations

import gc
import http.client
import shutil
import socket
import ssl
import subprocess
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from jinja2 import Environment, StrictUndefined

from builder.attempt import fetch
from protocol.job import Sdist
from tests.support.builder import sha256
from tests.support.index import Answer, Catalogue, Server
from tests.support.nginx import free_port, make_certificate

TEMPLATES = Path(__file__).parents[2] / "roles/master/templates/etc/wheelyard"
BODY = b"an sdist"


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    make_certificate(folder / "crt", folder / "key")
    return folder / "crt"


@pytest.fixture(scope="module")
def upstream(ca: Path) -> Iterator[int]:
    """Run the host of an index's files on 127.0.0.1, and return its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca, ca.with_name("key"))
    with Server(Catalogue(answers={"sdist": Answer(body=BODY)}), context) as server:
        yield int(server.server_address[1])


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, upstream: int) -> Iterator[int]:
    """Run the proxy with the settings of the role master, which let localhost through."""
    folder = tmp_path_factory.mktemp("proxy")
    port = free_port()
    variables = {
        "master_proxy_address": "127.0.0.1",
        "master_proxy_port": port,
        "master_proxy_hosts": ["files.example"],
        "__master_index_hosts": SimpleNamespace(stdout_lines=["localhost"]),
    }
    jinja = Environment(undefined=StrictUndefined, trim_blocks=True, autoescape=False)
    for name in ("proxy.conf", "proxy-hosts"):
        text = jinja.from_string((TEMPLATES / f"{name}.j2").read_text()).render(variables)
        text = text.replace("/etc/wheelyard", str(folder))
        # That of https belongs to root.
        (folder / name).write_text(text.replace("ConnectPort 443", f"ConnectPort {upstream}"))
    with subprocess.Popen(
        [shutil.which("tinyproxy") or "tinyproxy", "-d", "-c", str(folder / "proxy.conf")]
    ) as process:
        _wait(port)
        yield port
        process.terminate()


def _wait(port: int) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def status(proxy: int, line: str) -> int:
    """Return what the proxy answers to a request."""
    with socket.create_connection(("127.0.0.1", proxy), timeout=10) as connection:
        connection.sendall(f"{line} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with http.client.HTTPResponse(connection, method="CONNECT") as answer:
            answer.begin()
            return answer.status


def get(ca: Path, folder: Path, url: str) -> bytes:
    context = ssl.create_default_context(cafile=str(ca))
    context.check_hostname = False
    source = Sdist("demo-1.0.tar.gz", url, sha256(BODY), len(BODY))
    path = fetch.sdist(source, folder, max_bytes=1 << 20, timeout_s=10.0, context=context)
    return path.read_bytes()


def test_a_builder_fetches_by_the_proxy_and_from_listed_hosts_alone(
    ca: Path, upstream: int, proxy: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy}")
    assert get(ca, tmp_path, f"https://localhost:{upstream}/sdist") == BODY
    # The same server by a name that isn't listed.
    url = f"https://127.0.0.1:{upstream}/sdist"
    with pytest.raises(fetch.FetchError, match="add the host to farm_proxy_hosts") as caught:
        get(ca, tmp_path, url)
    assert caught.value.code == "network"
    # Before Python 3.12, http.client leaves open what a proxy answered that refuses.
    del caught
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert get(ca, tmp_path, url) == BODY


def test_the_proxy_lets_through_whole_names_and_one_port(proxy: int, upstream: int) -> None:
    assert status(proxy, f"CONNECT localhost:{upstream}") == 200
    assert status(proxy, f"CONNECT LOCALHOST:{upstream}") == 200
    for host in ("127.0.0.1", "[::1]", "xlocalhost", "localhost.example", "filesxexample"):
        assert status(proxy, f"CONNECT {host}:{upstream}") == 403, host
    assert status(proxy, "CONNECT localhost:22") == 403
    assert status(proxy, "GET http://files.example.org/") == 403
