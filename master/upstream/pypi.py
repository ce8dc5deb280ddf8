"""Ask a package index for projects, with patience and within limits."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import IncompleteRead as CutOff
from http.client import RemoteDisconnected

import requests
from pypi_simple import ACCEPT_JSON_PREFERRED, PYPI_SIMPLE_ENDPOINT, PyPISimple
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError
from urllib3.exceptions import TimeoutError as TooSlow
from urllib3.util import Retry

from master import names
from master.errors import FarmError
from master.text import one_line
from master.upstream import page
from master.upstream.model import UpstreamProject

USER_AGENT = "wheelyard/0.1 (wheel farm; +{contact})"
TIMEOUT_S = (10.0, 60.0)  # to connect, and between two packets
RETRIES = 3
PAGE_LIMIT_S = 120.0
"""For the whole of a page, with all that is tried again."""
MAX_RETRY_AFTER_S = 20
"""Of each Retry-After: with RETRIES a minute in all, as the other projects wait meanwhile."""


class IndexUnreachableError(FarmError):
    """The index doesn't answer, or asks to be left alone: other projects will fare no better."""


class UnreadablePageError(FarmError):
    """The index gives no answer for this project that can be used; it says nothing of others."""


class BadPageError(UnreadablePageError):
    """The index answers, with something that is not the page of a project."""


class UnknownProjectError(FarmError):
    """The index doesn't have it."""


class _Retry(Retry):
    # Not 413, which is of one page and passes with no time.
    RETRY_AFTER_STATUS_CODES = frozenset({429, 503})


class Index:
    """A package index; a context manager that closes its connections."""

    def __init__(self, url: str | None, contact: str) -> None:
        """Take the url of its simple API (None: PyPI's), and where its operators find us."""
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
        """Return what the index has of the project.

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
            return page.parse(normalised, *page.read(response, name))
        except Exception as error:
            # A stranger's page, and so are the ways in which a parser can fail.
            raise BadPageError(
                f"the index {self.url} answers for {name} with something that is not a page of an "
                f"index (PEP 503, PEP 691), such as a proxy's login page: {page.short(error)}. "
                f"Check that farm_pypi_url is the address of its simple API, and what this host "
                f"gets from it (curl {self.url}{name}/)"
            ) from error

    def _response(self, name: str) -> requests.Response:
        """Return the answer, read whole. Raises UnknownProjectError, requests.RequestException."""
        response = self._client.s.get(
            self._client.get_project_url(name),
            timeout=TIMEOUT_S,
            headers={"Accept": self._client.accept},
        )
        if response.status_code == requests.codes.not_found:
            raise UnknownProjectError(
                f"the index {self.url} has no project {name}: correct the name, or take it out of "
                f"farm_pypi_projects if it was deleted"
            )
        response.raise_for_status()
        return response


class _LateError(Exception):
    """An answer takes too long; the message says how long."""


@contextmanager
def _within(limit_s: float) -> Iterator[None]:
    """End what is inside after limit_s by _LateError; for the main thread alone.

    A socket's time-out begins again with each packet: a server that trickles would hold a sync for
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


def _is_of_the_index(error: Exception) -> bool:
    """Return whether it speaks of the index, and not of the project that was asked for."""
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
    """Yield an exception, what it was raised for or holds, and so on."""
    found: BaseException | None = error
    while found is not None:
        yield found
        held = [argument for argument in found.args if isinstance(argument, BaseException)]
        for inner in held:
            yield inner
            yield from (one for one in inner.args if isinstance(one, BaseException))
        found = found.__cause__ or found.__context__
