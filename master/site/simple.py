"""The index that installers read: PEP 503 HTML and PEP 691 JSON, API version 1.4.

The bytes depend on nothing but the project, so that an unchanged project is never carried again.
HTML is frozen at 1.4 (PEP 833): whatever comes later goes into the JSON only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from html import escape
from typing import Any
from urllib.parse import quote

from master.site.model import Project, Version, Wheel

API_VERSION = "1.4"
STATUS = "active"
"""PEP 792. A project that PyPI has quarantined has no version that is present, so no page."""

_HEAD = (
    "<!DOCTYPE html>\n"
    '<html lang="en">\n'
    '<head><meta charset="utf-8">'
    f'<meta name="pypi:repository-version" content="{API_VERSION}">'
)


def paths(folder: str) -> tuple[str, ...]:
    """Return where the web host looks for a folder's index: JSON, then HTML under its two types.

    It chooses by what a client accepts (PEP 691).
    """
    return tuple(f"{folder}/index.{suffix}" for suffix in ("v1_json", "v1_html", "html"))


def root_json(names: Iterable[str]) -> bytes:
    """Return the list of all projects (PEP 691)."""
    return _json({"meta": _META, "projects": [{"name": name} for name in names]})


def root_html(names: Iterable[str]) -> bytes:
    """Return the list of all projects (PEP 503)."""
    lines = (f'<a href="{escape(name)}/">{escape(name)}</a><br>' for name in names)
    return _page("Simple index", "", lines)


def project_json(project: Project) -> bytes:
    """Return a project's wheels (PEP 691, with what PEP 592, 700, 714 and 792 added)."""
    return _json(
        {
            "meta": _META,
            "name": project.name,
            "project-status": {"status": STATUS},
            "versions": [version.version for version in project.offered],
            "files": [_file(project, version, wheel) for version, wheel in _offered(project)],
        }
    )


def project_html(project: Project) -> bytes:
    """Return a project's wheels (PEP 503, with what PEP 592, 658, 714 and 792 added)."""
    status = f'<meta name="pypi:project-status" content="{STATUS}">'
    lines = (_anchor(project, version, wheel) for version, wheel in _offered(project))
    return _page(f"Links for {project.name}", status, lines)


_META = {"api-version": API_VERSION}


def _offered(project: Project) -> Iterator[tuple[Version, Wheel]]:
    for version in project.offered:
        for wheel in version.offered:
            yield version, wheel


def _file(project: Project, version: Version, wheel: Wheel) -> dict[str, Any]:
    file: dict[str, Any] = {
        "filename": wheel.filename,
        "url": _url(project, wheel),
        "hashes": {"sha256": wheel.sha256},
        "size": wheel.size_bytes,
        "upload-time": upload_time(wheel.uploaded_at),
        # true without a reason, as an empty one would mean "not yanked" (PEP 691).
        "yanked": (version.yanked_reason or True) if version.yanked else False,
        # Never "dist-info-metadata" here: pip 22.3 to 23.1 crash on it (PEP 714).
        "core-metadata": {"sha256": wheel.metadata_sha256},
        "provenance": None,
    }
    if wheel.requires_python:
        file["requires-python"] = wheel.requires_python
    return file


def _anchor(project: Project, version: Version, wheel: Wheel) -> str:
    metadata = f"sha256={wheel.metadata_sha256}"
    attributes = {
        "href": f"{_url(project, wheel)}#sha256={wheel.sha256}",
        "data-requires-python": wheel.requires_python or None,
        "data-yanked": (version.yanked_reason or "") if version.yanked else None,
        "data-core-metadata": metadata,
        # The name of PEP 658, for pip before 23.2.
        "data-dist-info-metadata": metadata,
    }
    written = " ".join(
        f'{name}="{_attribute(value)}"' for name, value in attributes.items() if value is not None
    )
    return f"<a {written}>{escape(wheel.filename)}</a><br>"


def _attribute(value: str) -> str:
    """Return it escaped, on one line: a reason to yank is a stranger's text."""
    return escape(value).replace("\r", "&#13;").replace("\n", "&#10;")


def _url(project: Project, wheel: Wheel) -> str:
    return f"../../files/{project.name}/{quote(wheel.filename)}"


def upload_time(moment: datetime) -> str:
    """Return a moment as PEP 700 wants it: ISO 8601, UTC, with a Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _page(title: str, head: str, lines: Iterable[str]) -> bytes:
    text = "\n".join(
        [
            f"{_HEAD}{head}<title>{escape(title)}</title></head>",
            f"<body><h1>{escape(title)}</h1>",
            *lines,
            "</body>",
            "</html>",
            "",
        ]
    )
    return text.encode()


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
