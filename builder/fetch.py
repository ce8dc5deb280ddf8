"""Getting a job's sdist: https only, within limits, and exactly the promised bytes."""

from __future__ import annotations

import hashlib
import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Any, Optional

from builder import __version__, files
from builder.job import Sdist

_CHUNK = 1 << 16
# What a server says when the file itself is the trouble: asking again from here won't cure it soon.
_GONE = (400, 401, 403, 404, 410, 451)


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
        if not newurl.startswith("https://"):
            fp.close()
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

    `timeout_s` is for the whole transfer. Raises FetchError, with nothing left in `folder`, and
    OSError when the disk is full.
    """
    target = folder / source.filename
    try:
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


def _transfer(
    source: Sdist, target: Path, max_bytes: int, timeout_s: float, context: ssl.SSLContext
) -> None:
    deadline = time.monotonic() + timeout_s
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
            if time.monotonic() > deadline:
                raise FetchError(f"{source.url}: not there after {timeout_s:.0f} s", lasting=False)
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
