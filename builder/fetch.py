"""Getting a job's sdist: https only, within limits, and exactly the promised bytes."""

from __future__ import annotations

import hashlib
import http.client
import os
import signal
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Optional

from builder import __version__, files
from builder.job import Sdist

_CHUNK = 1 << 16
# What a server says when the file itself is the trouble: asking again from here won't cure it soon.
# 400, 401 and 403 may be a proxy's words, or for this Pi alone.
_GONE = (404, 410, 451)


class FetchError(Exception):
    """The sdist couldn't be had: for good if `lasting`, otherwise for now (network, server)."""

    def __init__(self, message: str, *, lasting: bool) -> None:
        super().__init__(message)
        self.lasting = lasting


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Refuses to be led from https to anything else."""

    def redirect_request(  # noqa: PLR0917 -- urllib's
        self, req: Any, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Optional[urllib.request.Request]:
        # Else urllib reads all that a redirect says besides, however much that is.
        fp.close()
        if not newurl.startswith("https://"):
            raise FetchError(f"{req.full_url} leads to {newurl}, which is not https", lasting=True)
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
    with nothing left in `folder`, and OSError when the disk is full. For the main thread alone.
    """
    target = folder / source.filename
    late = f"{source.url}: not there after {timeout_s:.0f} s"
    try:
        with _within(timeout_s, late):
            _transfer(source, target, max_bytes, timeout_s, context or ssl.create_default_context())
    except FetchError:
        target.unlink(missing_ok=True)
        raise
    except urllib.error.HTTPError as error:
        target.unlink(missing_ok=True)
        error.close()
        raise FetchError(
            f"{source.url}: the server says {error.code} {error.reason}",
            lasting=error.code in _GONE,
        ) from error
    except (OSError, http.client.HTTPException) as error:
        target.unlink(missing_ok=True)
        if files.is_full(error):
            raise
        cause = getattr(error, "reason", None) or error
        raise FetchError(f"{source.url}: {cause}", lasting=False) from error
    return target


@contextmanager
def _within(limit_s: float, late: str) -> Iterator[None]:
    """End what is inside after `limit_s` by a FetchError that says `late`.

    A socket's timeout begins anew with each byte, those of headers too, so a server that trickles
    would hold this Pi for as long as it likes. The alarm ends whatever waits.
    """

    def ring(*_: object) -> None:
        # No OSError: of those, a connection goes on to the host's next address.
        raise FetchError(late, lasting=False)

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
    limit = max_bytes if source.size_bytes is None else min(source.size_bytes, max_bytes)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _HttpsOnly())
    request = urllib.request.Request(  # noqa: S310 -- job.parse() lets https through only
        source.url, headers={"User-Agent": f"wheelyard-builder/{__version__}"}
    )
    digest = hashlib.sha256()
    received = 0
    with opener.open(request, timeout=min(60.0, timeout_s)) as answer, target.open("wb") as stream:
        while chunk := answer.read(_CHUNK):
            received += len(chunk)
            if received > limit:
                raise FetchError(f"{source.url} is larger than {limit} bytes", lasting=True)
            digest.update(chunk)
            stream.write(chunk)
        if answer.length:
            raise FetchError(f"{source.url}: it ended after {received} bytes", lasting=False)
        stream.flush()
        os.fchmod(stream.fileno(), 0o644)
    if digest.hexdigest() != source.sha256:
        # A proxy's error page or a cut transfer looks like this too, so it may pass.
        raise FetchError(
            f"{source.url}: its sha256 is {digest.hexdigest()}, not {source.sha256}",
            lasting=False,
        )
