"""Reads a package index as JSON (PEP 691) or HTML (PEP 503), whichever it gives."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import requests
from packaging.version import InvalidVersion
from pypi_simple import (
    ACCEPT_JSON_PREFERRED,
    PYPI_SIMPLE_ENDPOINT,
    DistributionPackage,
    NoSuchProjectError,
    ProjectPage,
    PyPISimple,
    UnsupportedContentTypeError,
    UnsupportedRepoVersionError,
)
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from master import names
from master.errors import FarmError

USER_AGENT = "wheelyard/0.1 (wheel farm; +{contact})"
TIMEOUT_S = (10.0, 60.0)  # to connect, and between two packets
RETRIES = 3

SDIST_SUFFIXES = (".tar.gz", ".zip")
"""What is built, best first. PEP 527 ended all others."""

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,254}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_URL = re.compile(r"https://\S+")


class IndexUnreachableError(FarmError):
    """The index gives no answer that can be used."""


class BadPageError(IndexUnreachableError):
    """The index answers, with something that is no page of a project."""


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
    ignored: int
    """Files and versions that are left out: not PEP 440, eggs, unsafe names or URLs."""
    insecure: tuple[str, ...] = ()
    """Of these, the names of files whose address isn't https."""


def best_sdist(files: Iterable[UpstreamFile]) -> UpstreamFile | None:
    """The sdist to build, .tar.gz before .zip; None where there is none."""
    sdists = [file for file in files if file.kind == "sdist"]
    return min(sdists, key=lambda file: (file.yanked, _rank(file.filename)), default=None)


def _rank(filename: str) -> int:
    return [filename.endswith(suffix) for suffix in SDIST_SUFFIXES].index(True)


class Index:
    """A package index; a context manager that closes its connections."""

    def __init__(self, url: str | None, contact: str) -> None:
        """url of its simple API (None: PyPI's); contact is where its operators find us."""
        session = requests.Session()
        session.headers["User-Agent"] = USER_AGENT.format(contact=contact)
        retries = Retry(
            total=RETRIES,
            backoff_factor=0.5,
            status_forcelist=(429, 502, 503, 504),
            raise_on_status=False,
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

        Raises UnknownProjectError, or IndexUnreachableError and its BadPageError.
        """
        try:
            return parse(names.project_name(name), self._page(name))
        except NoSuchProjectError as error:
            raise UnknownProjectError(
                f"the index {self.url} has no project {name}: correct the name, or take it out of "
                f"pypi_projects if it was deleted"
            ) from error
        except requests.RequestException as error:
            raise IndexUnreachableError(
                f"the index {self.url} can't be read for {name}: {_cause(error)}. See that this "
                f"host reaches it (curl -I {self.url}); the next sync tries again"
            ) from error
        except (ValueError, UnsupportedContentTypeError, UnsupportedRepoVersionError) as error:
            raise BadPageError(
                f"the index {self.url} answers for {name} what is no page of an index (PEP 503, "
                f"PEP 691): {error}. See that pypi_url is the address of its simple API"
            ) from error

    def _page(self, name: str) -> ProjectPage:
        return self._client.get_project_page(name, timeout=TIMEOUT_S)


def _cause(error: requests.RequestException) -> str:
    # requests wraps urllib3 wraps the socket's error, which alone says what is the matter.
    inner: BaseException = error
    while inner.__context__ is not None:
        inner = inner.__context__
    return str(error) if isinstance(error, requests.HTTPError) else str(inner) or repr(inner)


def parse(name: str, page: ProjectPage) -> UpstreamProject:
    """The versions on a page, in no order; what isn't fit to be stored is counted."""
    ignored = 0
    insecure: list[str] = []
    found: defaultdict[str, list[UpstreamFile]] = defaultdict(list)
    for text in page.versions or ():
        try:
            found[names.version_text(text)] = []
        except InvalidVersion:
            ignored += 1
    for package in page.packages:
        file = _file(name, package)
        if file is None:
            ignored += 1
            if package.url.startswith("http://"):
                insecure.append(package.filename)
        else:
            found[names.version_text(package.version or "")].append(file)
    versions = (UpstreamVersion(version, tuple(files)) for version, files in found.items())
    return UpstreamProject(name, tuple(versions), ignored, tuple(insecure))


def _file(name: str, package: DistributionPackage) -> UpstreamFile | None:
    """The file, or None if it's none of ours to store."""
    try:
        if names.project_name(package.project or "") != name:
            return None
        names.version_text(package.version or "")
    except (names.BadNameError, InvalidVersion):
        return None
    sdist = package.package_type == "sdist" and package.filename.endswith(SDIST_SUFFIXES)
    if not (sdist or package.package_type == "wheel"):
        return None
    if not _SAFE_NAME.fullmatch(package.filename) or not _URL.fullmatch(package.url):
        return None
    digest = package.digests.get("sha256", "").lower()
    uploaded = package.upload_time
    return UpstreamFile(
        filename=package.filename,
        kind="sdist" if sdist else "wheel",
        url=package.url,
        sha256=digest if _SHA256.fullmatch(digest) else None,
        size_bytes=package.size,
        # Without a zone it can only be UTC (PEP 700).
        uploaded_at=uploaded.replace(tzinfo=uploaded.tzinfo or UTC) if uploaded else None,
        yanked=package.is_yanked,
        yanked_reason=package.yanked_reason or None,
        requires_python=package.requires_python or None,
    )
