"""Getting a job's sdist: https only, within limits, and exactly the promised bytes."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import signal
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import IO, Any, Optional

from builder import __version__, files
from protocol.job import Sdist
from protocol.result import MISSING, NETWORK, OTHER_FILE

_CHUNK = 1 << 16
# What a server says when the file itself is the trouble. 400, 401 and 403 may be a proxy's words,
# or for this Pi alone.
_GONE = (404, 410, 451)
_PAUSE_FIRST_S = 30.0
_PAUSE_LONGEST_S = 600.0


class FetchError(Exception):
    """The sdist couldn't be had. `code` says why it may be later; None, that it won't be."""

    def __init__(self, message: str, code: Optional[str]) -> None:
        super().__init__(message)
        self.code = code


class Pause:
    """For how long nothing is fetched, as it may be this Pi's own network that is out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._length_s = 0.0
        self._ends = 0.0
        self._words = ""

    def begin(self, cause: str) -> None:
        """Pause, for twice as long as the last time unless end() was called since."""
        self._length_s = min(max(2 * self._length_s, _PAUSE_FIRST_S), _PAUSE_LONGEST_S)
        self._ends = self.clock() + self._length_s
        until = datetime.now(timezone.utc) + timedelta(seconds=self._length_s)
        self._words = f"can't fetch sdists: {cause}; tries again at {until:%H:%M:%S} UTC"

    def end(self) -> None:
        """Forget all pauses: the network works."""
        self._length_s = self._ends = 0.0

    def refusal(self) -> Optional[str]:
        """Return in words that it pauses, why and until when, or None."""
        return self._words if self.clock() < self._ends else None


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Refuses to be led from https to anything else."""

    def redirect_request(  # noqa: PLR0917 -- urllib's
        self, req: Any, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Optional[urllib.request.Request]:
        # Else urllib reads all that a redirect says besides, however much that is.
        fp.close()
        if not newurl.startswith("https://"):
            raise FetchError(f"{req.full_url} redirects to {newurl}, which is not https", None)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def sdist(
    source: Sdist,
    folder: Path,
    *,
    max_bytes: int,
    timeout_s: float,
    context: Optional[ssl.SSLContext] = None,
) -> Path:
    """Fetch `source` into `folder` and return its path.

    `timeout_s` is for the whole transfer, from the connection to the last byte. Raises FetchError,
    with nothing left in `folder`, or DiskFullError. For the main thread alone.
    """
    target = folder / source.filename
    late = f"{source.url}: not there after {timeout_s:.0f} s"
    try:
        with files.room(), _within(timeout_s, late):
            _transfer(source, target, max_bytes, timeout_s, context or ssl.create_default_context())
    except (FetchError, files.DiskFullError):
        target.unlink(missing_ok=True)
        raise
    except urllib.error.HTTPError as error:
        target.unlink(missing_ok=True)
        error.close()
        raise FetchError(
            f"{source.url}: the server says {error.code} {error.reason}",
            MISSING if error.code in _GONE else NETWORK,
        ) from error
    except (OSError, http.client.HTTPException) as error:
        target.unlink(missing_ok=True)
        raise FetchError(f"{source.url}: {_cause(error)}", NETWORK) from error
    return target


def _cause(error: Exception) -> str:
    """Return in words why there was no answer, with the cure where it is the way there."""
    cause = getattr(error, "reason", None) or error
    if getattr(cause, "errno", None) == errno.ENETUNREACH:
        return (
            f"{cause}: if this Pi has no IPv4, give it a NAT64 with a resolver that leads to it "
            "(DNS64), or set farm_proxy: true and run site.yml"
        )
    if str(cause).startswith("Tunnel connection failed: 403"):
        return (
            f"{cause}: the master's proxy doesn't let it through; add the host to "
            "farm_proxy_hosts and run site.yml"
        )
    return str(cause)


@contextmanager
def _within(limit_s: float, late: str) -> Iterator[None]:
    """End what is inside after `limit_s` by a FetchError that says `late`.

    A socket's timeout begins anew with each byte, those of headers too, so a server that trickles
    would hold this Pi for as long as it likes. The alarm ends whatever waits.
    """

    def ring(*_: object) -> None:
        # No OSError: of those, a connection goes on to the host's next address.
        raise FetchError(late, NETWORK)

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _transfer(
    source: Sdist, target: Path, max_bytes: int, timeout_s: float, context: ssl.SSLContext
) -> None:
    if (source.size_bytes or 0) > max_bytes:
        raise _too_large(source, max_bytes)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _HttpsOnly())
    request = urllib.request.Request(  # noqa: S310 -- job.parse() lets https through only
        source.url, headers={"User-Agent": f"wheelyard-builder/{__version__}"}
    )
    digest = hashlib.sha256()
    received = 0
    with opener.open(request, timeout=min(60.0, timeout_s)) as answer, target.open("wb") as stream:
        if answer.length is not None:
            _check_size(source, answer.length)
        while chunk := answer.read(_CHUNK):
            received += len(chunk)
            if received > (source.size_bytes or max_bytes):
                if source.size_bytes is None:
                    raise _too_large(source, max_bytes)
                raise _other_file(source, f"more than {source.size_bytes} bytes")
            digest.update(chunk)
            stream.write(chunk)
        if answer.length:
            size = received + answer.length
            raise FetchError(f"{source.url}: it ended after {received} of {size} bytes", NETWORK)
        stream.flush()
        os.fchmod(stream.fileno(), 0o644)
    _check_size(source, received)
    if digest.hexdigest() != source.sha256:
        raise _other_file(source, f"its sha256 is {digest.hexdigest()}, not {source.sha256}")


def _too_large(source: Sdist, max_bytes: int) -> FetchError:
    return FetchError(
        f"{source.url} is larger than {max_bytes} bytes, the most that this farm fetches "
        "(builder_sdist_max_bytes)",
        None,
    )


def _check_size(source: Sdist, size_bytes: int) -> None:
    if source.size_bytes not in (None, size_bytes):
        raise _other_file(source, f"{size_bytes} bytes, not {source.size_bytes}")


def _other_file(source: Sdist, difference: str) -> FetchError:
    # An index and its files may not be brought up to date at once, so this may pass.
    return FetchError(
        f"{source.url} is not the file that the index promised: {difference}", OTHER_FILE
    )
