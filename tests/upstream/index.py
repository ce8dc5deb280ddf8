"""Packs the projects into sdists and writes a simple index of them (PEP 503 and 691, API 1.1)."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import json
import pathlib
import socket
import ssl
import tarfile
import time

PROJECTS = pathlib.Path(__file__).parent / "projects"
BACKEND = pathlib.Path(__file__).parent / "backend.py"
IN_TREE = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
JSON_TYPE = "application/vnd.pypi.simple.v1+json"


def sdist(name: str, version: str, members: dict[str, bytes]) -> bytes:
    """Return an sdist (PEP 625) with just these members, the same bytes each time."""
    members = {
        "pyproject.toml": IN_TREE.encode(),
        "backend.py": BACKEND.read_bytes(),
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        **members,
    }
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, content in sorted(members.items()):
            entry = tarfile.TarInfo(f"{name}-{version}/{path}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), mtime=0)


def write(folder: pathlib.Path, *, probe: bytes | None = None, tiny: int = 0) -> None:
    """Write the index of all projects into `folder`.

    There is version 1.0 of each, 1.1 of `tinypure`, `tinybinary` that has a wheel alone, and
    `tiny0` … that build in no time. What was released since then stays.
    """
    names = sorted(source.name for source in PROJECTS.iterdir())
    names += [f"tiny{number}" for number in range(tiny)]
    for name in names:
        for version in ["1.0", "1.1"] if name == "tinypure" else ["1.0"]:
            _publish(folder, name, f"{name}-{version}.tar.gz", _sdist_of(name, version, probe))
    _publish(folder, "tinybinary", "tinybinary-1.0-py3-none-any.whl", b"")
    listed = [{"name": name} for name in [*names, "tinybinary"]]
    projects = {"meta": {"api-version": "1.1"}, "projects": listed}
    (folder / "simple" / "index.json").write_text(json.dumps(projects))


def release(folder: pathlib.Path, name: str) -> str:
    """Publish the next version of a project in `folder`, and return its number."""
    page = json.loads((folder / "simple" / name / "index.json").read_text())
    version = f"1.{max(int(version.split('.')[1]) for version in page['versions']) + 1}"
    _publish(folder, name, f"{name}-{version}.tar.gz", _sdist_of(name, version))
    return version


def _sdist_of(name: str, version: str, probe: bytes | None = None) -> bytes:
    source = PROJECTS / name
    if not source.exists():
        return sdist(name, version, {f"{name}.py": f"VERSION = '{version}'\n".encode()})
    facts = {b"@VERSION@": version.encode(), b"@TIME@": str(int(time.time())).encode()}
    members = {path.name: path.read_bytes() for path in sorted(source.iterdir())}
    for fact, value in facts.items():
        members = {path: content.replace(fact, value) for path, content in members.items()}
    if name == "tinyprobe":
        members["probe.json"] = probe or b'{"closed": [], "open": [], "paths": []}'
    return sdist(name, version, members)


def _publish(folder: pathlib.Path, name: str, filename: str, content: bytes) -> None:
    """Write a file of a project, and the project's page, which is whole whenever it is read."""
    page = folder / "simple" / name
    page.mkdir(parents=True, exist_ok=True)
    (page / filename).write_bytes(content)
    files = sorted(path for path in page.iterdir() if path.name.startswith(f"{name}-"))
    described = {
        "meta": {"api-version": "1.1"},
        "name": name,
        "versions": sorted({path.name.removesuffix(".tar.gz").split("-")[1] for path in files}),
        "files": [
            {
                "filename": path.name,
                "url": path.name,
                "hashes": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
                "size": path.stat().st_size,
                "upload-time": "2026-01-01T00:00:00.000000Z",
                "yanked": False,
            }
            for path in files
        ],
    }
    (page / "index.json.new").write_text(json.dumps(described))
    (page / "index.json.new").replace(page / "index.json")


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves index.json as the page of a folder, with the type that PEP 691 asks for.

    Or login.html for whatever is asked, where there is one: a captive portal.
    """

    # A client whose power is cut must not keep a thread.
    timeout = 60
    index_pages = ("index.json",)
    extensions_map = {".json": JSON_TYPE, ".html": "text/html", "": "application/octet-stream"}  # noqa: RUF012  as its base has it

    def send_head(self) -> io.BytesIO | None:
        path = pathlib.Path(self.translate_path(self.path))
        login = pathlib.Path(self.directory) / "login.html"
        if login.exists():
            path = login
        elif path.is_dir():
            path = path / "index.json"
        if not path.is_file():
            self.send_error(404)
            return None
        content = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return io.BytesIO(content)


class _Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


def serve(folder: pathlib.Path, port: int, certificate: pathlib.Path) -> None:
    """Serve `folder` over TLS on every address, until the process is ended."""

    def handler(*arguments: object) -> _Handler:
        return _Handler(*arguments, directory=str(folder))  # type: ignore[arg-type]

    with _Server(("::", port), handler) as server:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(f"{certificate}.crt", f"{certificate}.key")
        # The handshake is for the client's own thread: in accept(), a silent one would stop all.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        server.serve_forever()
