"""Why a job or a build ended: a code, which code reads, and words beside it, which people read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from master.database import connection as db
from master.database.connection import Connection

_UPSERT = """
INSERT INTO reasons AS r (code, words) SELECT * FROM unnest(%(codes)s::text[], %(words)s::text[])
ON CONFLICT (code) DO UPDATE SET words = excluded.words WHERE r.words <> excluded.words
RETURNING code
"""


class Code(StrEnum):
    """As jobs, builds and ended_leases refer to them in the schema."""

    # Jobs that are skipped
    GONE = "gone"
    YANKED = "yanked"
    NO_SDIST = "no-sdist"
    NOT_FOLLOWED = "not-followed"
    NOT_NEWEST = "not-newest"
    OTHER_PYTHON = "other-python"
    SKIP_RULE = "skip-rule"
    COVERED = "covered"
    SAME_AS = "same-as"
    BY_HAND = "by-hand"
    # Builds that fail
    BUILD_FAILED = "build-failed"
    WHEEL_REFUSED = "wheel-refused"
    RESULT_REFUSED = "result-refused"
    SDIST_UNAVAILABLE = "sdist-unavailable"
    BUILDER_LOST = "builder-lost"
    # Leases that end, and their jobs don't
    GIVEN_BACK = "given-back"


WORDS = {
    Code.GONE: "gone from the index",
    Code.YANKED: "yanked upstream",
    Code.NO_SDIST: "no sdist with a sha256 on the index",
    Code.NOT_FOLLOWED: "the farm doesn't follow its project",
    Code.NOT_NEWEST: "not among the newest versions that the farm builds",
    Code.OTHER_PYTHON: "needs another Python",
    Code.SKIP_RULE: "named by a skip rule",
    Code.COVERED: "covered by a wheel of another target",
    Code.SAME_AS: "built, and the same as a wheel of another target",
    Code.BY_HAND: "skipped by an operator's own statement",
    Code.BUILD_FAILED: "the build failed",
    Code.WHEEL_REFUSED: "the wheel is not what was asked for",
    Code.RESULT_REFUSED: "the result is not as agreed",
    Code.SDIST_UNAVAILABLE: "its sdist could not be fetched",
    Code.BUILDER_LOST: "its builder lost it",
    Code.GIVEN_BACK: "given back unstarted",
}
"""What each code means; the reason of one job may say more."""

PASSING = {
    Code.GONE,
    Code.YANKED,
    Code.NO_SDIST,
    Code.NOT_FOLLOWED,
    Code.NOT_NEWEST,
    Code.OTHER_PYTHON,
    Code.SKIP_RULE,
}
"""What keeps a job out of the queue only for as long as planning finds it."""


@dataclass(frozen=True)
class Reason:
    code: Code
    words: str
    covered_by: str | None = None
    """The wheel that serves in place of one of its own, where that is why."""


def plain(code: Code) -> Reason:
    """Return the reason that the words of its code say in full."""
    return Reason(code, WORDS[code])


def covered(filename: str) -> Reason:
    """Return the reason of a job that a wheel in the store makes needless."""
    return Reason(Code.COVERED, f"covered by {filename}", filename)


def same_as(filename: str) -> Reason:
    """Return the reason of a job that was built beside another target's, to no other end."""
    return Reason(Code.SAME_AS, f"built, and the same as {filename}", filename)


def register(conn: Connection, *, check: bool) -> list[str]:
    """Write the codes into the database, and return those that were added or changed.

    One that has left the table stays: jobs and builds may refer to it. With check, nothing is
    written.
    """
    with db.transaction(conn) as cursor:
        bound = {"codes": list(WORDS), "words": list(WORDS.values())}
        cursor.execute(_UPSERT, bound)
        changed = sorted(row.code for row in cursor.fetchall())
        if check:
            conn.rollback()
    return changed
