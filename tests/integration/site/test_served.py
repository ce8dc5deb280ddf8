"""The site as a real nginx serves it to a real pip."""

from __future__ import annotations

import json
import os
import re
import string
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pypi_simple import ACCEPT_ANY, ACCEPT_HTML_ONLY, ACCEPT_JSON_ONLY, PyPISimple

from master.database import connection as db
from master.site import publish
from tests.support.cluster import Cluster
from tests.support.farm import Farm, make_config
from tests.support.nginx import SiteServer
from tests.support.site import ONE

OLD = "two_words-2.0-py3-none-any.whl"
NEW = "two_words-2.1-py3-none-any.whl"
JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"
PIP = f"{JSON}, {HTML}; q=0.1, text/html; q=0.01"
UV = f"{JSON}, {HTML};q=0.2, text/html;q=0.01"
POETRY = f"{JSON}, */*;q=0.1"


@pytest.fixture(scope="module")
def server(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteServer]:
    """Serve a farm with three wheels; the newest is yanked. No test changes it."""
    folder = tmp_path_factory.mktemp("served")
    config = make_config(cluster, "served", folder / "state")
    config.store.mkdir(parents=True)
    cluster.execute("CREATE DATABASE served OWNER wheelyard_owner TEMPLATE template")
    farm = Farm(cluster, config)
    farm.built(ONE, apt=("liblzo2-2",))
    farm.built(OLD)
    farm.built(NEW)
    farm.failed("three", "1.0", "error: no")
    farm.rows("UPDATE versions SET yanked = true, yanked_reason = 'bad' WHERE version = '2.1'")
    farm.disconnect()
    conn = db.connect(config, "site")
    publish.render(conn, config)
    conn.close()
    (config.state_dir / "site/simple/one/.index.html.new").write_text("half")
    server = SiteServer(folder, config.state_dir / "site")
    yield server
    server.stop()


def pip(server: SiteServer, *args: str) -> str:
    """Return what a real pip says that trusts the site."""
    return plain_pip(server, *args, "--cert", str(server.ca))


def plain_pip(server: SiteServer, *args: str) -> str:
    """Return what a real pip says, from its own environment and with nobody's settings."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check", "--verbose",
         *args],
        # Neither the settings nor the certificates of whoever runs the tests.
        env={"PATH": os.environ["PATH"], "HOME": str(server.folder)},
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (PIP, JSON),
        (UV, JSON),
        (POETRY, JSON),
        ("application/vnd.pypi.simple.latest+json", JSON),
        (HTML, HTML),
        ("application/vnd.pypi.simple.latest+html", HTML),
        ("text/html", "text/html; charset=utf-8"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
        ("application/nonsense", "text/html; charset=utf-8"),
    ],
)
@pytest.mark.parametrize("path", ["/simple/", "/simple/two-words/"])
def test_each_client_gets_the_format_that_it_accepts(
    server: SiteServer, path: str, accept: str, content_type: str
) -> None:
    answer = server.get(path, Accept=accept)
    assert answer.status == 200
    assert answer.headers["content-type"] == content_type
    # Or a cache between would hand one client's format to another.
    assert "accept" in answer.headers["vary"].lower().replace(",", " ").split()
    assert answer.headers["cache-control"] == "max-age=600"
    assert answer.body.startswith(b"{" if content_type == JSON else b"<!DOCTYPE html>")


def test_an_index_page_is_compressed_and_need_not_be_sent_twice(server: SiteServer) -> None:
    answer = server.get("/simple/two-words/", Accept=PIP, Accept_Encoding="gzip")
    assert answer.headers["content-encoding"] == "gzip"
    again = server.get("/simple/two-words/", Accept=PIP, If_None_Match=answer.headers["etag"])
    assert again.status == 304


def test_a_wheel_is_served_as_it_is(server: SiteServer) -> None:
    content = (server.site / "files/one" / ONE).read_bytes()
    answer = server.get(f"/files/one/{ONE}", Accept_Encoding="gzip, br")
    assert answer.body == content
    assert "content-encoding" not in answer.headers
    assert "immutable" in answer.headers["cache-control"]
    assert not answer.headers["etag"].startswith("W/")
    part = server.get(f"/files/one/{ONE}", Range="bytes=2-5", Accept_Encoding="identity")
    assert (part.status, part.body) == (206, content[2:6])
    head = server.get(f"/files/one/{ONE}", method="HEAD")
    assert head.headers["accept-ranges"] == "bytes"
    assert int(head.headers["content-length"]) == len(content)
    assert b"Name: one" in server.get(f"/files/one/{ONE}.metadata").body


@pytest.mark.parametrize(
    "path",
    ["/simple/none/", "/simple/none", "/simple/three/", "/files/", "/files/one/", "/project/",
     "/project/one/log/", "/simple/one/.index.html.new", "/.git/config", "/x"],
)  # fmt: skip
@pytest.mark.parametrize("accept", [PIP, "text/html"])
def test_what_is_not_there_is_404(server: SiteServer, path: str, accept: str) -> None:
    answer = server.get(path, Accept=accept)
    assert answer.status == 404
    assert "max-age" not in answer.headers.get("cache-control", "")


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/simple/one", "/simple/one/"),
        ("/simple", "/simple/"),
        ("/project/one", "/project/one/"),
        ("/simple/Two_Words/", "/simple/two-words/"),
        ("/simple/two.-_words/", "/simple/two-words/"),
        ("/project/TWO.WORDS", "/project/two-words/"),
        ("/project/two--words/", "/project/two-words/"),
        ("/simple/-_.two-_.words", "/simple/-two-words/"),
        (f"/simple/{'AbCdEfGhIj' * 20}", f"/simple/{'abcdefghij' * 20}/"),
        (f"/project/{string.ascii_uppercase * 4}/", f"/project/{string.ascii_lowercase * 4}/"),
        (f"/simple/{'A.' * 100}b/", f"/simple/{'a-' * 100}b/"),
    ],
)
def test_a_name_leads_to_its_page_in_one_redirect_however_it_is_written(
    server: SiteServer, path: str, target: str
) -> None:
    answer = server.get(f"{path}?a=b&C=%2f")
    assert (answer.status, answer.headers["location"]) == (301, f"{target}?a=b&C=%2f")
    there = (server.site / target.strip("/")).is_dir()
    assert server.get(target).status == (200 if there else 404)
    assert server.get(path).headers["location"] == target


@pytest.mark.parametrize("path", ["//Host.Example/x", "//Host.Example", "/simple//Host.Example/"])
def test_no_name_leads_to_another_host(server: SiteServer, path: str) -> None:
    location = server.get(path).headers.get("location", "")
    assert location in ("", "/simple/host-example/")


def test_a_redirect_carries_nothing_that_a_stranger_wrote(server: SiteServer) -> None:
    answer = server.get("/simple/A%0d%0aSet-Cookie:%20x=1/")
    assert answer.status == 404
    assert "set-cookie" not in answer.headers


def test_plain_http_leads_to_the_site(server: SiteServer) -> None:
    answer = server.get("/simple/one/?x=1", plain=True)
    assert answer.status == 301
    assert answer.headers["location"] == f"{server.url}/simple/one/?x=1"


@pytest.mark.parametrize("path", ["/", "/simple/", f"/files/one/{ONE}", "/project/one/", "/x"])
def test_a_page_may_use_files_of_its_own_site_and_nothing_else(
    server: SiteServer, path: str
) -> None:
    headers = server.get(path).headers
    policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    # Or a stranger's text, which a log is, could be run as a script of the site's own.
    assert headers["x-content-type-options"] == "nosniff"
    assert "/" not in headers["server"]


def test_pages_for_people_have_their_types(server: SiteServer) -> None:
    log = next((server.site / "project/three/log").iterdir()).name
    for path, content_type in {
        "/": "text/html; charset=utf-8",
        "/style.css": "text/css",
        "/project/one/": "text/html; charset=utf-8",
        "/project/one/index.json": "application/json",
        f"/project/three/log/{log}": "text/plain; charset=utf-8",
    }.items():
        assert server.get(path).headers["content-type"].startswith(content_type), path


def test_pip_takes_a_wheel_from_the_farm(server: SiteServer, tmp_path: Path) -> None:
    said = pip(server, "install", "--no-deps", "--target", str(tmp_path / "into"),
               "--index-url", f"{server.url}/simple/", "Two.Words")  # fmt: skip
    # 2.1 is yanked.
    assert OLD in said
    assert (tmp_path / "into/two_words.py").read_text() == "version = '2.0'\n"


@pytest.mark.parametrize(("page", "name"), [("/", "NAME"), ("/project/two-words/", "two-words")])
def test_a_command_on_a_page_is_all_that_pip_needs(
    server: SiteServer, tmp_path: Path, page: str, name: str
) -> None:
    command = re.search(rf"<code>pip3 (install .*){name}</code>", server.get(page).body.decode())
    assert command
    words = command[1].replace("https://farm.example", server.url)
    words = words.replace("/etc/ssl/certs/ca-certificates.crt", str(server.ca))
    # There is no other index than the farm's here.
    said = plain_pip(server, *words.split(), "two-words", "--index-url", f"{server.url}/simple/",
                     "--no-deps", "--target", str(tmp_path / "into"))  # fmt: skip
    assert OLD in said


def test_pip_finds_the_wheel_of_a_pi_by_its_tags(server: SiteServer, tmp_path: Path) -> None:
    # It reads the metadata first (PEP 658), and checks that file's hash.
    said = pip(server, "download", "--no-deps", "--index-url", f"{server.url}/simple/",
               "--only-binary", ":all:", "--python-version", "3.11", "--platform", "linux_armv7l",
               "--dest", str(tmp_path), "one")  # fmt: skip
    assert f"{ONE}.metadata" in said
    assert (tmp_path / ONE).read_bytes() == (server.site / "files/one" / ONE).read_bytes()


@pytest.mark.parametrize("accept", [ACCEPT_ANY, ACCEPT_JSON_ONLY, ACCEPT_HTML_ONLY])
def test_another_client_reads_the_same(
    server: SiteServer, accept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.ca))
    with PyPISimple(f"{server.url}/simple/", accept=accept) as client:
        assert client.get_index_page().projects == ["one", "two-words"]
        old, new = client.get_project_page("two-words").packages
        assert (old.filename, old.is_yanked) == (OLD, False)
        assert (new.filename, new.yanked_reason) == (NEW, "bad")
        assert b"Name: two-words" in client.get_package_metadata_bytes(old)


def test_the_access_log_is_json_whatever_a_client_sends(server: SiteServer) -> None:
    server.get("/simple/one/", User_Agent='pip/26.3 {"a":"\\"}')
    server.get('/"x\\', User_Agent="\x1b[31m")
    good, bad = logged(server, 'pip/26.3 {"a":"\\"}'), logged(server, "\x1b[31m")
    assert good["uri"] == "/simple/one/"
    assert good["status"] == "200"
    assert good["bytes"] > 0
    assert {"time", "remote_addr", "method", "request_time"} <= set(good)
    assert (bad["status"], bad["uri"]) == ("404", '/"x\\')


def logged(server: SiteServer, user_agent: str) -> dict[str, Any]:
    """Return the line of a client's request, which nginx writes after it has answered."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for line in server.access_log.read_text().splitlines():
            entry: dict[str, Any] = json.loads(line)
            if entry["user_agent"] == user_agent:
                return entry
        time.sleep(0.01)
    raise AssertionError(f"{user_agent!r} is not in the log")
