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

    There is version 1.0 of each, 1.1 of `tinypure` and `tinyslow`, `tinybinary` that has a wheel
    alone, and `tiny0` … that build in no time.
    """
    files: dict[str, dict[str, bytes]] = {"tinybinary": {"tinybinary-1.0-py3-none-any.whl": b""}}
    for source in sorted(PROJECTS.iterdir()):
        name = source.name
        members = {path.name: path.read_bytes() for path in sorted(source.iterdir())}
        if name == "tinyprobe":
            members["probe.json"] = probe or b'{"closed": [], "open": [], "paths": []}'
        versions = ["1.0", "1.1"] if name in ("tinypure", "tinyslow") else ["1.0"]
        files[name] = {f"{name}-{v}.tar.gz": sdist(name, v, members) for v in versions}
    for number in range(tiny):
        name = f"tiny{number}"
        module = {f"{name}.py": f"NUMBER = {number}\n".encode()}
        files[name] = {f"{name}-1.0.tar.gz": sdist(name, "1.0", module)}
    for name, contents in files.items():
        _project(folder, name, contents)
    projects = {"meta": {"api-version": "1.1"}, "projects": [{"name": name} for name in files]}
    (folder / "simple" / "index.json").write_text(json.dumps(projects))


def _project(folder: pathlib.Path, name: str, contents: dict[str, bytes]) -> None:
    page = folder / "simple" / name
    page.mkdir(parents=True, exist_ok=True)
    for filename, content in contents.items():
        (page / filename).write_bytes(content)
    versions = sorted({f.removesuffix(".tar.gz").split("-")[1] for f in contents})
    described = {
        "meta": {"api-version": "1.1"},
        "name": name,
        "versions": versions,
        "files": [
            {
                "filename": filename,
                "url": filename,
                "hashes": {"sha256": hashlib.sha256(content).hexdigest()},
                "size": len(content),
                "upload-time": "2026-01-01T00:00:00.000000Z",
                "yanked": False,
            }
            for filename, content in contents.items()
        ],
    }
    (page / "index.json").write_text(json.dumps(described))


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
