"""Whether a job whose sdist couldn't be fetched is tried again, and when.

The one place that decides it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from protocol.result import MISSING, NETWORK, OTHER_FILE

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
CODES = {
    NETWORK: timedelta(minutes=10),
    MISSING: LONGEST_WAIT,
    OTHER_FILE: timedelta(minutes=10),
}
"""All that a result may say (protocol.result.FETCH_CODES), and the longest wait after each."""
_NETWORK_TRIES = 8
# Of a project that no sync reads; of any other, a sync finds out that the file is gone.
_MISSING_TRIES = 12


def wait(code: str | None, job: Any) -> timedelta | None:
    """Return how long the job must wait after a fetch that failed so; None where it fails for good.

    The job is as it was before: fetch_failures, network_failures, other_file and followed.
    """
    failures: int = job.fetch_failures
    if (
        code is None
        or (code == NETWORK and job.network_failures + 1 >= _NETWORK_TRIES)
        or (code == OTHER_FILE and job.other_file)
        or (code == MISSING and not job.followed and failures + 1 >= _MISSING_TRIES)
    ):
        return None
    # The tenth reaches every longest wait, and some hundreds would be more than a number holds.
    return min(FIRST_WAIT * (1 << min(failures, 10)), CODES[code])
