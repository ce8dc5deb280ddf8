"""A package index that a test can change while it runs, JSON (PEP 691) and HTML (PEP 503) alike."""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any

from packaging.version import InvalidVersion, Version
from pypi_simple import UnparsableFilenameError, parse_filename

JSON_TYPE = "application/vnd.pypi.simple.v1+json"


@dataclass
class File:
    """A file as the index lists it. Nothing fetches it."""

    filename: str
    url: str = ""
    sha256: str | None = ""
    size: int | None = 1000
    upload_time: str | None = "2026-01-01T00:00:00.000000Z"
    requires_python: str | None = None
    yanked: bool | str = False

    def __post_init__(self) -> None:
        self.url = self.url or f"https://files.example/{self.filename}"
        if self.sha256 == "":
            self.sha256 = hashlib.sha256(self.filename.encode()).hexdigest()


@dataclass
class Answer:
    """What is answered instead of a page."""

    status: int = 200
    kind: str = "text/html"
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    """That is announced; more than there is, and the client sees it cut off."""
    write: Callable[[BufferedIOBase], object] | None = None
    """Writes all of it, from the status on, in place of all this."""


LOGIN_PAGE = Answer(
    body=b'<!DOCTYPE html><html><body><form action="/login"><input name="user"></form>'
    b'<a href="/terms">Terms of use</a></body></html>'
)
"""What a captive portal answers to everything."""


@dataclass
class Catalogue:
    """What the index has; may be changed while it runs."""

    projects: dict[str, list[File]] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    """By project, before anything else is looked at."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Of each JSON page, over what it would have."""
    serial: int | None = None
    """Of each page."""
    has_json: bool = True
    status: int = 200
    """Of every answer; what isn't 200 is a breakdown."""
    kind: str | None = None
    """Content type of a page, whatever it is."""
    accepted: list[str] = field(default_factory=list)
    """The Accept headers of requests, User-Agents after a |."""


def page(name: str, **facts: object) -> Answer:
    """Return a JSON page without files."""
    value = {"meta": {"api-version": "1.1"}, "name": name, "files": [], **facts}
    return Answer(kind=JSON_TYPE, body=json.dumps(value).encode())


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, catalogue: Catalogue, tls: ssl.SSLContext | None = None) -> None:
        self.catalogue = catalogue
        self.scheme = "https" if tls else "http"
        super().__init__(("127.0.0.1", 0), _Handler)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    @property
    def url(self) -> str:
        """Of its simple API."""
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}/simple/"

    def __enter__(self) -> Server:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        catalogue = self.server.catalogue
        accept = self.headers.get("Accept", "")
        catalogue.accepted.append(f"{accept}|{self.headers.get('User-Agent')}")
        parts = self.path.strip("/").split("/")
        name = parts[-1]
        if name in catalogue.answers or "*" in catalogue.answers:
            self._say(catalogue.answers.get(name) or catalogue.answers["*"])
        elif catalogue.status != 200:
            self._answer(catalogue.status, "text/plain", b"broken\n")
        elif parts[0] == "simple" and len(parts) == 2 and parts[1] in catalogue.projects:
            as_json = catalogue.has_json and JSON_TYPE in accept
            files = catalogue.projects[name]
            page = _json(name, files, catalogue.facts) if as_json else _html(name, files)
            self._answer(
                200, catalogue.kind or (JSON_TYPE if as_json else "text/html"), page.encode()
            )
        else:
            self._answer(404, "text/plain", b"no such thing\n")

    def _answer(self, status: int, kind: str, data: bytes) -> None:
        serial = self.server.catalogue.serial
        headers = {} if serial is None else {"X-PyPI-Last-Serial": str(serial)}
        self._say(Answer(status, kind, data, headers))

    def _say(self, answer: Answer) -> None:
        if answer.write:
            answer.write(self.wfile)
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(answer.length or len(answer.body)))
        for header, value in answer.headers.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its base calls it so
        """Print nothing."""


def _json(name: str, files: list[File], facts: dict[str, Any]) -> str:
    return json.dumps(
        {
            "meta": {"api-version": "1.1"},
            "name": name,
            "versions": sorted({v for file in files if (v := _version(name, file.filename))}),
            "files": [
                {
                    "filename": file.filename,
                    "url": file.url,
                    "hashes": {"sha256": file.sha256} if file.sha256 else {},
                    "size": file.size,
                    "upload-time": file.upload_time,
                    "requires-python": file.requires_python,
                    "yanked": file.yanked,
                }
                for file in files
            ],
            **facts,
        }
    )


def _version(name: str, filename: str) -> str | None:
    """Return the version as the index sees it (PEP 440), of the files that have one."""
    try:
        return str(Version(parse_filename(filename, name)[1]))
    except (UnparsableFilenameError, InvalidVersion, ValueError):
        return None


def _html(name: str, files: list[File]) -> str:
    return (
        f"<!DOCTYPE html>\n<html><body><h1>{name}</h1>\n{''.join(map(_link, files))}</body></html>"
    )


def _link(file: File) -> str:
    attributes = ""
    if file.requires_python:
        attributes += f' data-requires-python="{escape(file.requires_python)}"'
    if file.yanked is not False:
        attributes += f' data-yanked="{escape("" if file.yanked is True else file.yanked)}"'
    fragment = f"#sha256={file.sha256}" if file.sha256 else ""
    return f'<a href="{file.url}{fragment}"{attributes}>{file.filename}</a><br>\n'
