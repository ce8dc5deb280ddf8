"""Every statement that changes a job's state. Nothing else changes it.

    insert                 a new job                        pending, or skipped from the start
    lease                  pending                       -> leased
    give_back, wait        leased                        -> pending
    finish                 leased                        -> built, failed or skipped
    skip                   pending, skipped              -> skipped, for this reason
    requeue                all but leased                -> pending

Where a project's pages show the change at once, it is marked as stale, too: by finish alone for a
lease, and by who plans, once a project, for what planning does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from master.database.connection import Cursor
from master.jobs.reasons import Code, Reason

_INSERT = """
INSERT INTO jobs (version_id, target_id, upstream_file_id, priority, state, queued_at,
                  finished_at, reason_code, reason, covered_by)
VALUES (%(version_id)s, %(target_id)s, %(upstream_file_id)s, %(priority)s, %(state)s, %(now)s,
        %(finished_at)s, %(reason_code)s, %(reason)s, %(covered_by)s)
ON CONFLICT (version_id, target_id) DO NOTHING
RETURNING job_id
"""

# Only jobs that are as the caller saw them, pending or skipped: a claim that runs meanwhile wins.
_SKIP = """
UPDATE jobs
   SET state = 'skipped', finished_at = coalesce(finished_at, %(now)s), retry_at = NULL,
       reason_code = %(reason_code)s, reason = %(reason)s, covered_by = %(covered_by)s
 WHERE job_id = ANY (%(job_ids)s) AND state = %(state)s
"""

_REQUEUE = """
UPDATE jobs
   SET state = 'pending', finished_at = NULL, queued_at = %(now)s, lost_count = 0,
       reason_code = NULL, reason = NULL, covered_by = NULL,
       retry_at = NULL, fetch_failures = 0, network_failures = 0, other_file = false,
       upstream_file_id = %(upstream_file_id)s, priority = greatest(priority, %(priority)s)
 WHERE job_id = %(job_id)s AND state IN ('pending', 'built', 'failed', 'skipped')
"""

_LEASE = """
UPDATE jobs j
   SET state = 'leased', attempt = j.attempt + 1, builder_id = n.builder_id, leased_at = %(now)s,
       leased_sha256 = f.sha256
  FROM unnest(%(job_ids)s::bigint[], %(builder_ids)s::bigint[]) AS n (job_id, builder_id),
       upstream_files f
 WHERE j.job_id = n.job_id AND j.state = 'pending' AND f.upstream_file_id = j.upstream_file_id
"""

# An attempt that ends without a build is noted as it was before the lease is ended.
_NOTE_END = """
INSERT INTO ended_leases (job_id, attempt, builder_id, leased_at, ended_at, reason_code, reason)
SELECT job_id, attempt, builder_id, leased_at, %(now)s, %(reason_code)s, %(reason)s
  FROM jobs WHERE job_id = ANY (%(job_ids)s) AND state = 'leased'
"""

_GIVE_BACK = """
UPDATE jobs
   SET state = 'pending', builder_id = NULL, leased_at = NULL, handed_at = NULL, revoking = false,
       lost_count = lost_count + %(lost)s
 WHERE job_id = ANY (%(job_ids)s) AND state = 'leased'
"""

_WAIT = """
UPDATE jobs
   SET state = 'pending', builder_id = NULL, leased_at = NULL, handed_at = NULL, revoking = false,
       retry_at = %(retry_at)s, retry_reason = %(reason)s, fetch_failures = fetch_failures + 1,
       network_failures = network_failures + %(network)s, other_file = other_file OR %(other_file)s
 WHERE job_id = %(job_id)s AND state = 'leased'
"""

_FINISH = """
WITH finished AS (
     UPDATE jobs
        SET state = %(state)s, reason_code = %(reason_code)s, reason = %(reason)s,
            covered_by = %(covered_by)s, finished_at = %(now)s, builder_id = NULL,
            leased_at = NULL, handed_at = NULL, revoking = false,
            lost_count = lost_count + %(lost)s
      WHERE job_id = %(job_id)s AND state = 'leased'
     RETURNING version_id)
UPDATE projects p SET dirty_since = %(now)s
  FROM finished JOIN versions v USING (version_id)
 WHERE p.project_id = v.project_id
"""

_STALE = "UPDATE projects SET dirty_since = %(now)s WHERE project_id = %(project_id)s"


def insert(
    cursor: Cursor,
    *,
    version_id: int,
    target_id: int,
    upstream_file_id: int | None,
    priority: int,
    reason: Reason | None,
    now: datetime,
) -> int | None:
    """Add a job, skipped where there is a reason; its job_id, None if it was there meanwhile."""
    cursor.execute(
        _INSERT,
        {
            "version_id": version_id,
            "target_id": target_id,
            "upstream_file_id": upstream_file_id,
            "priority": priority,
            "state": "skipped" if reason else "pending",
            "now": now,
            "finished_at": now if reason else None,
            **_columns(reason),
        },
    )
    row = cursor.fetchone()
    return int(row.job_id) if row else None


def skip(cursor: Cursor, job_ids: Sequence[int], state: str, reason: Reason, now: datetime) -> int:
    """Take those that are still in the state out of the queue; how many they are."""
    cursor.execute(
        _SKIP, {"job_ids": list(job_ids), "state": state, "now": now, **_columns(reason)}
    )
    return int(cursor.rowcount)


def requeue(
    cursor: Cursor, job_id: int, upstream_file_id: int | None, now: datetime, priority: int = 0
) -> int:
    """Queue a job that isn't leased from the start, for this sdist; whether it is, as 1 or 0."""
    cursor.execute(
        _REQUEUE,
        {
            "job_id": job_id,
            "upstream_file_id": upstream_file_id,
            "priority": priority,
            "now": now,
        },
    )
    return int(cursor.rowcount)


def lease(
    cursor: Cursor, job_ids: Sequence[int], builder_ids: Sequence[int], now: datetime
) -> None:
    """Lease each pending job to the builder at its place."""
    bound = {"job_ids": list(job_ids), "builder_ids": list(builder_ids), "now": now}
    cursor.execute(_LEASE, bound)


def give_back(
    cursor: Cursor, job_ids: Sequence[int], words: str, now: datetime, *, lost: bool = False
) -> None:
    """End leases without a result; lost counts against the jobs."""
    code = Code.BUILDER_LOST if lost else Code.GIVEN_BACK
    bound = {"job_ids": list(job_ids), "now": now, "lost": int(lost)}
    cursor.execute(_NOTE_END, bound | _columns(Reason(code, words)))
    cursor.execute(_GIVE_BACK, bound)


def wait(
    cursor: Cursor,
    job_id: int,
    reason: Reason,
    retry_at: datetime,
    now: datetime,
    *,
    network: bool,
    other_file: bool,
) -> None:
    """End a lease whose sdist couldn't be fetched; the job isn't leased again before retry_at."""
    bound = {"job_id": job_id, "retry_at": retry_at, **_columns(reason)}
    cursor.execute(_NOTE_END, bound | {"job_ids": [job_id], "now": now})
    cursor.execute(_WAIT, bound | {"network": int(network), "other_file": other_file})


def finish(
    cursor: Cursor,
    job_id: int,
    state: str,
    reason: Reason | None,
    now: datetime,
    *,
    lost: bool = False,
) -> None:
    """End a lease and its job as built, failed or skipped, and mark its project as stale."""
    bound = {"job_id": job_id, "state": state, "now": now, "lost": int(lost), **_columns(reason)}
    if state == "skipped":
        cursor.execute(_NOTE_END, bound | {"job_ids": [job_id]})
    cursor.execute(_FINISH, bound)


def mark_stale(cursor: Cursor, project_id: int, now: datetime) -> None:
    """Have the pages of a project rendered and published again."""
    cursor.execute(_STALE, {"project_id": project_id, "now": now})


def _columns(reason: Reason | None) -> dict[str, Any]:
    return {
        "reason_code": reason and reason.code,
        "reason": reason and reason.words,
        "covered_by": reason and reason.covered_by,
    }
