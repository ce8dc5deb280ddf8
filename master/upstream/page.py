"""Read a project's page on the index, as JSON (PEP 691) or HTML (PEP 503), with no trust in it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any

import requests
from packaging.utils import parse_wheel_filename
from packaging.version import InvalidVersion, Version
from pypi_simple import DistributionPackage, ProjectPage, ProjectStatus

from master import names
from master.text import one_line
from master.upstream.model import SDIST_SUFFIXES, UpstreamFile, UpstreamProject, UpstreamVersion

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,254}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_URL = re.compile(r"https://[!-~]{1,2000}")
_MAX_BYTES = 1 << 40
_MAX_TEXT = 200
_FILE_KEYS = ("filename", "url", "hashes", "requires-python", "yanked", "size", "upload-time")


def read(response: requests.Response, name: str) -> tuple[ProjectPage, list[str]]:
    """Return the page, and what on it can't be read, each with the reason. Raises ValueError."""
    if "json" not in response.headers.get("Content-Type", ""):
        return ProjectPage.from_response(response, name), []
    # Only what the farm uses, so that nothing else that is odd or new costs it the project.
    data = response.json()
    page = {key: data[key] for key in ("meta", "name", "files", "versions") if key in data}
    page["meta"] = {key: page["meta"].get(key) for key in ("api-version", "_last-serial")}
    serial = page["meta"]["_last-serial"]
    if isinstance(serial, bool) or not isinstance(serial, (int, str)):
        del page["meta"]["_last-serial"]
    status = data.get("project-status")
    if isinstance(status, dict) and status.get("status") in set(ProjectStatus):
        page["project-status"] = {"status": status["status"]}
    versions = page.pop("versions", None) or []
    page["versions"] = [text for text in versions if isinstance(text, str)]
    files = [
        {key: file[key] for key in _FILE_KEYS if key in file} if isinstance(file, dict) else file
        for file in page["files"]
    ]
    readable, unreadable = [], []
    for file in files:
        try:
            DistributionPackage.from_json_data(file, name, response.url)
        except ValueError as error:
            unreadable.append(f"{_filename(file)}: {short(error)}")
        else:
            readable.append(file)
    if files and not readable:
        raise ValueError(f"none of its {len(files)} files can be read: {unreadable[0]}")
    found = ProjectPage.from_json_data({**page, "files": readable}, response.url)
    found.last_serial = found.last_serial or response.headers.get("X-PyPI-Last-Serial")
    if names.project_name(found.project) != names.project_name(name):
        raise ValueError(f"it is the page of {one_line(found.project, 60)}")
    return found, unreadable


def _filename(file: Any) -> str:
    return one_line(file.get("filename") if isinstance(file, dict) else None, 100) or "a file"


def short(error: Exception) -> str:
    # Pydantic's own words go over several lines, and end with an address.
    details = getattr(error, "errors", None)
    if isinstance(error, ValueError) and callable(details) and (first := details()):
        where = ".".join(str(part) for part in first[0]["loc"] if not isinstance(part, int))
        return one_line(f"{where}: {first[0]['msg']}", 200)
    return one_line(str(error), 200) or type(error).__name__


def parse(name: str, page: ProjectPage, unreadable: Iterable[str] = ()) -> UpstreamProject:
    """Return the versions on a page, in no order; what can't be stored is listed with its reason.

    Raises ValueError for what is a page, but none of an index or of this project.
    """
    ignored = list(unreadable)
    insecure: list[str] = []
    found: defaultdict[str, list[UpstreamFile]] = defaultdict(list)
    for text in page.versions or ():
        try:
            found[names.version_text(text)] = []
        except InvalidVersion:
            ignored.append(f"version {one_line(text, 60)}: not a valid version (PEP 440)")
    known = {Version(text) for text in found}
    for package in page.packages:
        try:
            file = _file(name, package, known)
        except _UnusableError as error:
            ignored.append(f"{one_line(package.filename, 100)}: {error}")
            if package.url.startswith("http://"):
                insecure.append(package.filename)
        else:
            if file is not None:
                found[names.version_text(package.version or "")].append(file)
    _check_that_it_is_one(name, page)
    return UpstreamProject(
        name,
        tuple(UpstreamVersion(version, tuple(files)) for version, files in found.items()),
        tuple(ignored),
        tuple(insecure),
        serial=_serial(page.last_serial),
        is_final=page.status is ProjectStatus.QUARANTINED,
    )


def _check_that_it_is_one(name: str, page: ProjectPage) -> None:
    """Raise ValueError for a page that has nothing of the project and no mark of an index.

    A proxy's login page is HTML with status 200, too, and it may well have links.
    """
    if any(_is_of(name, package) for package in page.packages):
        return
    if page.packages:
        raise ValueError(f"none of its {len(page.packages)} links is a file of {name}")
    if page.repository_version is None:
        raise ValueError("it has no link, and no pypi:repository-version (PEP 629)")


def _is_of(name: str, package: DistributionPackage) -> bool:
    try:
        return names.project_name(package.project or "") == name
    except names.BadNameError:
        return False


def _serial(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,18}", text) else None


class _UnusableError(Exception):
    """A file can't be stored; the message says why."""


def _file(
    name: str, package: DistributionPackage, versions: Collection[Version]
) -> UpstreamFile | None:
    """Return the file, None for a kind that is never built or installed: an egg, an installer.

    versions are those that the index says there are; empty where it doesn't. Raises
    _UnusableError.
    """
    if package.package_type is None:
        raise _UnusableError("not the name of a file of a project")
    if not _is_of(name, package):
        raise _UnusableError("of another project")
    sdist = package.package_type == "sdist" and package.filename.endswith(SDIST_SUFFIXES)
    if not (sdist or package.package_type == "wheel"):
        return None
    if not _SAFE_NAME.fullmatch(package.filename):
        raise _UnusableError("its name is not safe in a path")
    try:
        version = Version(names.version_text(package.version or ""))
    except InvalidVersion as error:
        raise _UnusableError("its version is not a valid one (PEP 440)") from error
    try:
        if not sdist:
            # pypi-simple takes NAME-0.1-final-final-py3-none-any.whl for 0.1.
            parse_wheel_filename(package.filename)
    except ValueError as error:
        raise _UnusableError("not the name of a wheel (PEP 427)") from error
    if versions and version not in versions:
        raise _UnusableError(f"the index has no version {version}")
    if not _URL.fullmatch(package.url):
        raise _UnusableError("its address is not https")
    digest = package.digests.get("sha256", "").lower()
    size = package.size
    return UpstreamFile(
        filename=package.filename,
        kind="sdist" if sdist else "wheel",
        url=package.url,
        sha256=digest if _SHA256.fullmatch(digest) else None,
        size_bytes=size if size is not None and 0 <= size <= _MAX_BYTES else None,
        uploaded_at=_time(package.upload_time),
        yanked=package.is_yanked,
        yanked_reason=one_line(package.yanked_reason) or None,
        requires_python=_requires_python(package.requires_python),
    )


def _requires_python(text: str | None) -> str | None:
    # What pip can't read excludes nothing.
    return text if text and len(text) <= _MAX_TEXT and text.isprintable() else None


def _time(moment: datetime | None) -> datetime | None:
    try:
        # Without a zone it can only be UTC (PEP 700).
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC) if moment else None
    except OverflowError:
        return None
