"""What a builder sends back of one job: result.json, log.txt and perhaps a wheel. Untrusted."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from master.failures import classify
from master.jobs.reasons import Code, Reason
from master.results.refused import WheelRefusedError
from master.results.verify import regular_file
from master.text import one_line
from protocol import result as results
from protocol.result import Result


def read(
    folder: Path, key: str, log: str, leased_at: datetime, now: datetime
) -> tuple[Result, Reason | None]:
    """Return the result in the folder, and why it is a failure; a malformed one is one, too.

    The log is what came with it. Raises protocol.NewerError for one that an updated master will
    understand.
    """
    try:
        with regular_file(folder / "result.json") as file:
            data = file.read(results.MAX_BYTES + 1)
        if len(data) > results.MAX_BYTES:
            raise ValueError("it's too long")
        result = results.parse(json.loads(data))
        if result.key != key:
            raise ValueError("it's of another job")
    except (WheelRefusedError, ValueError, RecursionError) as error:
        words = f"result refused: result.json isn't as agreed: {one_line(str(error))}"
        return Result(key, "failed", words, None, now, None), Reason(Code.RESULT_REFUSED, words)
    started_at = _possible(result.started_at, leased_at, now)
    finished_at = _possible(result.finished_at, leased_at, now) or now
    started_at = min(started_at, finished_at) if started_at else None
    reason = classify.reason(result, log)
    return replace(result, started_at=started_at, finished_at=finished_at), reason


def _possible(time: datetime | None, leased_at: datetime, now: datetime) -> datetime | None:
    """Return a time by the builder's clock, none that is before the lease or in the future."""
    try:
        return time and max(leased_at - timedelta(minutes=1), min(time, now))
    except OverflowError:
        return None


def read_log(folder: Path) -> tuple[str, str]:
    """Return the log as text that PostgreSQL and a page can hold, with a note on what is cut off.

    An honest one is within the limit (builder/attempt/log.py); of another, the end is cut off.
    """
    try:
        with regular_file(folder / "log.txt") as file:
            data = file.read(results.MAX_LOG_BYTES)
            more = os.fstat(file.fileno()).st_size - len(data)
    except WheelRefusedError:
        return "", "(no log came with this result)\n"
    text = data.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text, f"\n(… {more} bytes more were cut off by the master)\n" if more > 0 else ""
