"""Read the state of the farm, and of one run, from the database, as the read-only role."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg2.extensions import connection as Connection  # noqa: N812 - a class, named as one

from master.config import Config
from master.database import connection as db
from master.errors import FarmError
from master.status import due
from master.status.model import (
    Builder,
    Counts,
    Failure,
    Ignored,
    Info,
    Note,
    Remaining,
    Run,
    Running,
    TargetResult,
    Waiting,
)
from protocol import report

STALE_SHOWN = 10

_COUNTS = """
SELECT t.name,
       coalesce(sum(c.jobs) FILTER (WHERE c.state = 'pending'), 0)::bigint AS pending,
       coalesce(sum(c.jobs) FILTER (WHERE c.state = 'leased'), 0)::bigint AS leased,
       coalesce(sum(c.jobs) FILTER (WHERE c.state = 'built'), 0)::bigint AS built,
       coalesce(sum(c.jobs) FILTER (WHERE c.state = 'failed'), 0)::bigint AS failed,
       coalesce(sum(c.jobs) FILTER (WHERE c.state = 'skipped'), 0)::bigint AS skipped
  FROM targets t LEFT JOIN job_counts c USING (target_id)
 WHERE t.active AND (%(targets)s::text[] IS NULL OR t.name = ANY (%(targets)s))
 GROUP BY t.name
"""

_BUILDERS = """
SELECT b.builder_id, b.name, t.name AS target, b.last_seen_at, b.missing_since, b.refuses,
       b.paused_at, b.paused_reason, b.report,
       (SELECT count(*) FROM jobs j WHERE j.builder_id = b.builder_id AND j.state = 'leased')
           AS leased
  FROM builders b JOIN targets t USING (target_id)
 WHERE b.active AND (%(targets)s::text[] IS NULL OR t.name = ANY (%(targets)s))
   AND (%(builders)s::text[] IS NULL OR b.name = ANY (%(builders)s))
 ORDER BY t.name, b.name
"""

# What a builder says it builds is believed only where it agrees with a lease of its own.
_LEASED = """
SELECT j.job_id, j.attempt, j.builder_id, p.name AS project, v.version, j.leased_at
  FROM jobs j JOIN versions v USING (version_id) JOIN projects p USING (project_id)
 WHERE j.state = 'leased' AND j.job_id = ANY (%(job_ids)s)
"""

_WAITING = """
SELECT DISTINCT ON (t.name) t.name, count(*) OVER (PARTITION BY t.name) AS jobs,
       p.name AS project, v.version, j.retry_at, j.fetch_failures + 1 AS tries,
       j.retry_reason AS reason
  FROM jobs j JOIN targets t USING (target_id)
  JOIN versions v USING (version_id) JOIN projects p USING (project_id)
 WHERE j.retry_at IS NOT NULL AND t.active
   AND (%(targets)s::text[] IS NULL OR t.name = ANY (%(targets)s))
   AND (%(job_ids)s::bigint[] IS NULL OR j.job_id = ANY (%(job_ids)s))
 ORDER BY t.name, j.retry_at, j.job_id
"""

_NOTES = "SELECT key, value, updated_at FROM sync_state"

# What the lock says holds however a sync ended.
_SYNCING = """
SELECT EXISTS (SELECT FROM pg_locks
                WHERE locktype = 'advisory' AND granted AND classid = %(classid)s
                  AND objid = %(objid)s
                  AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""

_IGNORED = """
SELECT name AS project, ignored_count AS count, ignored AS lines
  FROM projects WHERE ignored_count > 0 ORDER BY name
"""

# A job takes as long as builds of its project did for this target, or else as the target's
# recent ones. A long queue is judged by its head, behind what is leased. Single rows are looked up,
# not joined, so that no plan reads a table as a whole.
_LEFT = """
WITH recent AS (
     SELECT target_id, avg(duration_s) AS duration_s
       FROM (SELECT (SELECT target_id FROM jobs j WHERE j.job_id = b.job_id), duration_s
               FROM builds b
              WHERE duration_s IS NOT NULL ORDER BY build_id DESC LIMIT 500) last
      GROUP BY target_id)
SELECT t.name, total.jobs, total.waiting, head.known, head.expected_s
  FROM targets t
 CROSS JOIN LATERAL (
       SELECT CASE WHEN %(job_ids)s::bigint[] IS NULL
              THEN (SELECT coalesce(sum(c.jobs), 0)::bigint FROM job_counts c
                     WHERE c.target_id = t.target_id AND c.state IN ('pending', 'leased'))
              ELSE (SELECT count(*) FROM jobs j
                     WHERE j.target_id = t.target_id AND j.state IN ('pending', 'leased')
                       AND j.job_id = ANY (%(job_ids)s)) END AS jobs,
              (SELECT count(*) FROM jobs j
                WHERE j.target_id = t.target_id AND j.retry_at IS NOT NULL
                  AND (%(job_ids)s::bigint[] IS NULL OR j.job_id = ANY (%(job_ids)s))) AS waiting
       ) total
  LEFT JOIN recent USING (target_id)
 CROSS JOIN LATERAL (
       SELECT sum(ahead.jobs) FILTER (WHERE coalesce(own.duration_s, recent.duration_s)
                                            IS NOT NULL) AS known,
              sum(ahead.jobs * coalesce(own.duration_s, recent.duration_s)) AS expected_s
         FROM (SELECT (SELECT project_id FROM versions v WHERE v.version_id = due.version_id),
                      count(*)::integer AS jobs
                 FROM (SELECT version_id FROM jobs j
                        WHERE j.target_id = t.target_id AND j.state = 'leased'
                          AND (%(job_ids)s::bigint[] IS NULL OR j.job_id = ANY (%(job_ids)s))
                       UNION ALL
                       (SELECT version_id FROM jobs j
                         WHERE j.target_id = t.target_id AND j.state = 'pending'
                           AND j.retry_at IS NULL
                           AND (%(job_ids)s::bigint[] IS NULL OR j.job_id = ANY (%(job_ids)s))
                         ORDER BY j.priority DESC, j.job_id LIMIT 500)) due
                GROUP BY 1) ahead
         LEFT JOIN LATERAL (
               SELECT avg(b.duration_s) AS duration_s
                 FROM versions v JOIN jobs j USING (version_id) JOIN builds b USING (job_id)
                WHERE v.project_id = ahead.project_id AND j.target_id = t.target_id) own
           ON true) head
 WHERE total.jobs > 0 AND (%(targets)s::text[] IS NULL OR t.name = ANY (%(targets)s))
"""

_RESULTS = """
SELECT t.name,
       count(*) FILTER (WHERE j.state = 'built') AS built,
       count(*) FILTER (WHERE j.state = 'failed') AS failed,
       count(*) FILTER (WHERE j.state = 'skipped') AS skipped,
       count(f.file_id) AS wheels,
       coalesce(sum(b.duration_s), 0) AS duration_s
  FROM jobs j JOIN targets t USING (target_id)
  LEFT JOIN builds b ON b.job_id = j.job_id AND b.attempt = j.attempt
  LEFT JOIN files f USING (build_id)
 WHERE j.finished_at >= %(since)s
   AND (%(targets)s::text[] IS NULL OR t.name = ANY (%(targets)s))
   AND (%(job_ids)s::bigint[] IS NULL OR j.job_id = ANY (%(job_ids)s))
 GROUP BY t.name
"""

_FAILURES = """
SELECT p.name AS project, v.version, t.name AS target, j.reason
  FROM jobs j JOIN targets t USING (target_id)
  JOIN versions v USING (version_id) JOIN projects p USING (project_id)
 WHERE j.state = 'failed' AND j.finished_at >= %(since)s
   AND (%(targets)s::text[] IS NULL OR t.name = ANY (%(targets)s))
   AND (%(job_ids)s::bigint[] IS NULL OR j.job_id = ANY (%(job_ids)s))
 ORDER BY p.name, v.version, t.name
"""

_STALE = """
SELECT name FROM projects WHERE dirty_since IS NOT NULL ORDER BY dirty_since LIMIT %(limit)s
"""

_UNPUBLISHED = """
SELECT count(DISTINCT v.project_id)
  FROM jobs j JOIN targets t USING (target_id)
  JOIN versions v USING (version_id) JOIN projects p USING (project_id)
 WHERE p.dirty_since IS NOT NULL AND j.finished_at >= %(since)s
   AND (%(targets)s::text[] IS NULL OR t.name = ANY (%(targets)s))
   AND (%(job_ids)s::bigint[] IS NULL OR j.job_id = ANY (%(job_ids)s))
"""


class BadTimeError(FarmError):
    """No time that can be compared with the farm's."""


def read(
    conn: Connection,
    config: Config,
    now: datetime,
    *,
    since: datetime | None = None,
    targets: Sequence[str] | None = None,
    job_ids: Sequence[int] | None = None,
    builders: Sequence[str] | None = None,
    ignored: bool = False,
) -> Info:
    """Return the farm as one snapshot sees it, and the run of these jobs when since is given.

    None stands for all targets, jobs and builders. ignored asks for what of the index can't be
    used.
    """
    chosen = {
        "since": since,
        "targets": None if targets is None else list(targets),
        "job_ids": None if job_ids is None else list(job_ids),
        "builders": None if builders is None else list(builders),
    }
    conn.set_session(isolation_level="REPEATABLE READ", readonly=True)
    with db.transaction(conn) as cursor:
        counts = {
            row.name: Counts(row.pending, row.leased, row.built, row.failed, row.skipped)
            for row in _rows(cursor, _COUNTS, chosen)
        }
        notes = {row.key: Note(row.value, row.updated_at) for row in _rows(cursor, _NOTES)}
        return Info(
            now=now,
            site_url=config.site_url,
            lost_after_s=config.builder_lost_after_s,
            targets=counts,
            builders=_builders(cursor, chosen, now),
            waiting={row.name: Waiting(*row[1:]) for row in _rows(cursor, _WAITING, chosen)},
            notes=notes,
            is_syncing=bool(_rows(cursor, _SYNCING, db.Lock.SYNC.key)[0][0]),
            ignored=tuple(
                Ignored(row.project, row.count, tuple(row.lines))
                for row in (_rows(cursor, _IGNORED) if ignored else ())
            ),
            stale=tuple(
                [
                    *(row.name for row in _rows(cursor, _STALE, {"limit": STALE_SHOWN})),
                    *due.undeleted(config),
                ][:STALE_SHOWN]
            ),
            run=None if since is None else _run(cursor, chosen, since, list(counts)),
        )


def moment(text: str | None) -> datetime | None:
    """Return the time that ISO 8601 writes so, with its time zone. Raises BadTimeError."""
    try:
        when = datetime.fromisoformat(text) if text else None
    except ValueError as error:
        raise BadTimeError(f"{text!r} is not a valid time as ISO 8601 writes it") from error
    if when is not None and when.tzinfo is None:
        raise BadTimeError(f"{text!r} has no time zone, and must have one")
    return when


def _rows(cursor: Any, query: str, chosen: dict[str, Any] | None = None) -> list[Any]:
    cursor.execute(query, chosen)
    return list(cursor.fetchall())


def _builders(cursor: Any, chosen: dict[str, Any], now: datetime) -> tuple[Builder, ...]:
    rows = _rows(cursor, _BUILDERS, chosen)
    reports = {row.builder_id: report.read(row.report) for row in rows}
    said = {builder: one.running[0] for builder, one in reports.items() if one and one.running}
    job_ids = [one.key.job_id for one in said.values()]
    leased = {
        (row.builder_id, row.job_id, row.attempt): row
        for row in _rows(cursor, _LEASED, {"job_ids": job_ids})
    }
    builders = []
    for row in rows:
        running = None
        heard = reports[row.builder_id]
        one = said.get(row.builder_id)
        job = leased.get((row.builder_id, one.key.job_id, one.key.attempt)) if one else None
        if one and job and row.missing_since is None:
            # A Pi's clock may be wrong: it can't have started before it had the job.
            started = min(max(one.started_at or job.leased_at, job.leased_at), now)
            running = Running(job.project, job.version, (now - started).total_seconds())
        builders.append(
            Builder(
                name=row.name,
                target=row.target,
                state=(
                    "missing"
                    if row.missing_since
                    else "paused"
                    if row.paused_at
                    else "new"
                    if row.last_seen_at is None
                    else "refuses"
                    if row.refuses
                    else "building"
                    if running
                    else "idle"
                ),
                running=running,
                queued=row.leased - (1 if running else 0),
                last_seen_at=row.last_seen_at,
                missing_since=row.missing_since,
                refuses=row.refuses,
                paused_at=row.paused_at,
                paused_reason=row.paused_reason,
                rootfs=heard.rootfs if heard else None,
            )
        )
    return tuple(builders)


def _run(cursor: Any, chosen: dict[str, Any], since: datetime, targets: list[str]) -> Run:
    left = {
        row.name: Remaining(
            jobs=row.jobs,
            expected_s=(
                row.expected_s * (row.jobs - row.waiting) / row.known if row.known else None
            ),
            waiting=row.waiting,
        )
        for row in _rows(cursor, _LEFT, chosen)
    }
    results = {name: TargetResult(0, 0, 0, 0, 0.0) for name in targets}
    for row in _rows(cursor, _RESULTS, chosen):
        results[row.name] = TargetResult(
            row.built, row.failed, row.skipped, row.wheels, float(row.duration_s)
        )
    failures = tuple(
        Failure(
            row.project,
            row.version,
            row.target,
            row.reason,
        )
        for row in _rows(cursor, _FAILURES, chosen)
    )
    unpublished = _rows(cursor, _UNPUBLISHED, chosen)[0][0]
    return Run(since=since, left=left, unpublished=unpublished, results=results, failures=failures)
