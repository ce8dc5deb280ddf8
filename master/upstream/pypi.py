"""Reads a package index as JSON (PEP 691) or HTML (PEP 503), whichever it gives."""

from __future__ import annotations

import re
import signal
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import IncompleteRead as CutOff
from http.client import RemoteDisconnected
from typing import Any

import requests
from packaging.utils import parse_wheel_filename
from packaging.version import InvalidVersion, Version
from pypi_simple import (
    ACCEPT_JSON_PREFERRED,
    PYPI_SIMPLE_ENDPOINT,
    DistributionPackage,
    ProjectPage,
    ProjectStatus,
    PyPISimple,
)
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError
from urllib3.exceptions import TimeoutError as TooSlow
from urllib3.util import Retry

from master import names
from master.errors import FarmError
from master.text import one_line

USER_AGENT = "wheelyard/0.1 (wheel farm; +{contact})"
TIMEOUT_S = (10.0, 60.0)  # to connect, and between two packets
RETRIES = 3
PAGE_LIMIT_S = 120.0
"""For the whole of a page, with all that is tried again."""
MAX_RETRY_AFTER_S = 20
"""Of each Retry-After: with RETRIES a minute in all, as the other projects wait meanwhile."""

SDIST_SUFFIXES = (".tar.gz", ".zip")
"""What is built, best first. PEP 527 ended all others."""

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,254}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_URL = re.compile(r"https://[!-~]{1,2000}")
_MAX_BYTES = 1 << 40
_MAX_TEXT = 200
_FILE_KEYS = ("filename", "url", "hashes", "requires-python", "yanked", "size", "upload-time")


class IndexUnreachableError(FarmError):
    """The index doesn't answer, or asks to be left alone: other projects will fare no better."""


class UnreadablePageError(FarmError):
    """The index gives no answer for this project that can be used; it says nothing of others."""


class BadPageError(UnreadablePageError):
    """The index answers, with something that is not the page of a project."""


class UnknownProjectError(FarmError):
    """The index doesn't have it."""


@dataclass(frozen=True)
class UpstreamFile:
    filename: str
    kind: str
    """sdist or wheel."""
    url: str
    sha256: str | None
    size_bytes: int | None
    uploaded_at: datetime | None
    yanked: bool
    yanked_reason: str | None
    requires_python: str | None


@dataclass(frozen=True)
class UpstreamVersion:
    version: str
    """As PEP 440 normalises it."""
    files: tuple[UpstreamFile, ...]

    @property
    def yanked(self) -> bool:
        """All that it has is yanked (PEP 592)."""
        return bool(self.files) and all(file.yanked for file in self.files)

    @property
    def yanked_reason(self) -> str | None:
        reasons = [file.yanked_reason for file in self.files if file.yanked_reason]
        return reasons[0] if self.yanked and reasons else None

    @property
    def released_at(self) -> datetime | None:
        times = [file.uploaded_at for file in self.files if file.uploaded_at]
        return min(times, default=None)

    @property
    def requires_python(self) -> str | None:
        """Of its sdist, or of any other file where there is none."""
        sdist = best_sdist(self.files)
        return (sdist or self.files[0]).requires_python if self.files else None


@dataclass(frozen=True)
class UpstreamProject:
    name: str
    versions: tuple[UpstreamVersion, ...]
    ignored: tuple[str, ...] = ()
    """Files and versions that can't be used, each with the reason."""
    insecure: tuple[str, ...] = ()
    """Of these, the names of files whose address isn't https."""
    serial: int | None = None
    """Of the page, which grows with each change; None where the index gives none."""
    is_final: bool = False
    """That there is nothing is meant: it is quarantined (PEP 792), or deleted."""


def from_plain(raw: Mapping[str, Any]) -> UpstreamProject:
    """The project that asdict() made plain, with its times in ISO 8601."""

    def file(one: Mapping[str, Any]) -> UpstreamFile:
        when = one["uploaded_at"]
        return UpstreamFile(**{**one, "uploaded_at": when and datetime.fromisoformat(when)})

    versions = tuple(
        UpstreamVersion(version["version"], tuple(file(one) for one in version["files"]))
        for version in raw["versions"]
    )
    return UpstreamProject(**{**raw, "versions": versions})


def best_sdist(files: Iterable[UpstreamFile]) -> UpstreamFile | None:
    """The sdist to build, .tar.gz before .zip; None where there is none."""
    sdists = [file for file in files if file.kind == "sdist"]
    return min(sdists, key=lambda file: (file.yanked, _rank(file.filename)), default=None)


def _rank(filename: str) -> int:
    return [filename.endswith(suffix) for suffix in SDIST_SUFFIXES].index(True)


class _Retry(Retry):
    # Not 413, which is of one page and passes with no time.
    RETRY_AFTER_STATUS_CODES = frozenset({429, 503})


class Index:
    """A package index; a context manager that closes its connections."""

    def __init__(self, url: str | None, contact: str) -> None:
        """url of its simple API (None: PyPI's); contact is where its operators find us."""
        session = requests.Session()
        session.headers["User-Agent"] = USER_AGENT.format(contact=contact)
        retries = _Retry(
            total=RETRIES,
            read=1,  # each may take all of the time-out
            backoff_factor=0.5,
            status_forcelist=(429, 500, 502, 503, 504),
            raise_on_status=False,
            retry_after_max=MAX_RETRY_AFTER_S,
        )
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retries))
        self.url = url or PYPI_SIMPLE_ENDPOINT
        self._client = PyPISimple(self.url, session=session, accept=ACCEPT_JSON_PREFERRED)

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._client.s.close()

    def project(self, name: str) -> UpstreamProject:
        """What the index has of the project.

        Raises UnknownProjectError, UnreadablePageError and its BadPageError, or
        IndexUnreachableError.
        """
        normalised = names.project_name(name)
        try:
            with _within(PAGE_LIMIT_S):
                response = self._response(name)
        except (requests.RequestException, _LateError) as error:
            kind = IndexUnreachableError if _is_of_the_index(error) else UnreadablePageError
            raise kind(
                f"the index {self.url} can't be read for {name}: {_cause(error)}. Check that this "
                f"host reaches it (curl -I {self.url}); the next sync tries again"
            ) from error
        try:
            return parse(normalised, *_page(response, name))
        except Exception as error:
            # A stranger's page, and so are the ways in which a parser can fail.
            raise BadPageError(
                f"the index {self.url} answers for {name} with something that is not a page of an "
                f"index (PEP 503, PEP 691), such as a proxy's login page: {_short(error)}. Check "
                f"that pypi_url is the address of its simple API, and what this host gets from it "
                f"(curl {self.url}{name}/)"
            ) from error

    def _response(self, name: str) -> requests.Response:
        """The answer, read whole. Raises UnknownProjectError and requests.RequestException."""
        response = self._client.s.get(
            self._client.get_project_url(name),
            timeout=TIMEOUT_S,
            headers={"Accept": self._client.accept},
        )
        if response.status_code == requests.codes.not_found:
            raise UnknownProjectError(
                f"the index {self.url} has no project {name}: correct the name, or take it out of "
                f"pypi_projects if it was deleted"
            )
        response.raise_for_status()
        return response


class _LateError(Exception):
    """An answer takes too long; the message says how long."""


@contextmanager
def _within(limit_s: float) -> Iterator[None]:
    """End what is inside after limit_s by _LateError; for the main thread alone.

    A socket's time-out begins anew with each packet: a server that trickles would hold a sync for
    as long as it likes.
    """

    def ring(*_: object) -> None:
        # No OSError: urllib3 would try again after one.
        raise _LateError(f"its answer takes longer than {limit_s:.0f} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _page(response: requests.Response, name: str) -> tuple[ProjectPage, list[str]]:
    """The page, and what on it can't be read at all, each with the reason. Raises ValueError."""
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
            unreadable.append(f"{_filename(file)}: {_short(error)}")
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


def _short(error: Exception) -> str:
    # Pydantic's own words go over several lines, and end with an address.
    details = getattr(error, "errors", None)
    if isinstance(error, ValueError) and callable(details) and (first := details()):
        where = ".".join(str(part) for part in first[0]["loc"] if not isinstance(part, int))
        return one_line(f"{where}: {first[0]['msg']}", 200)
    return one_line(str(error), 200) or type(error).__name__


def _is_of_the_index(error: Exception) -> bool:
    """Whether it speaks of the index, and not of the project that was asked for."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return error.response.status_code == 429 or error.response.status_code >= 500
    if isinstance(error, (_LateError, requests.Timeout, requests.exceptions.SSLError)):
        return True
    return any(isinstance(one, (NewConnectionError, TooSlow)) for one in _chain(error))


def _cause(error: Exception) -> str:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        answer = error.response
        wait = answer.headers.get("Retry-After")
        asks = f"; it asks to be left alone (Retry-After: {one_line(wait, 46)})" if wait else ""
        return f"it answers {answer.status_code} {one_line(answer.reason, 60)}{asks}"
    # requests wraps urllib3 wraps the socket's error, which alone says what is the matter.
    chain = list(_chain(error))
    for inner in chain:
        if isinstance(inner, CutOff) and inner.expected:
            came = inner.partial if isinstance(inner.partial, int) else len(inner.partial)
            return f"its answer was cut off ({came} bytes came, {inner.expected} more were due)"
    cut_off = (CutOff, RemoteDisconnected, requests.exceptions.ChunkedEncodingError)
    if any(isinstance(inner, cut_off) for inner in chain):
        return "its answer was cut off"
    for inner in reversed(chain):
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
    if any(isinstance(inner, TooSlow) for inner in chain):
        return f"it doesn't answer within {TIMEOUT_S[1]:.0f} s"
    return one_line(str(chain[-1]), 200) or type(chain[-1]).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception, what it was raised for or holds, and so on."""
    found: BaseException | None = error
    while found is not None:
        yield found
        held = [argument for argument in found.args if isinstance(argument, BaseException)]
        for inner in held:
            yield inner
            yield from (one for one in inner.args if isinstance(one, BaseException))
        found = found.__cause__ or found.__context__


def parse(name: str, page: ProjectPage, unreadable: Iterable[str] = ()) -> UpstreamProject:
    """The versions on a page, in no order; what can't be stored is listed with its reason.

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
    """Raises ValueError for a page that has nothing of the project and no mark of an index.

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
    """The file, or None for one of a kind that is never built or installed: an egg, an installer.

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
