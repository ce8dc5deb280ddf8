"""What the site reads of the database, as the values of model.py, and the two things it writes.

Every function takes a cursor of a transaction that db.connect(config, "site") began.
"""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from master.site.model import (
    Build,
    Farm,
    Job,
    Project,
    RecentBuild,
    State,
    Target,
    TargetCount,
    Version,
    Wheel,
)

RECENT_BUILDS = 30

_STATES: dict[str, State] = {
    "pending": "pending",
    "leased": "building",
    "built": "built",
    "failed": "failed",
    "skipped": "skipped",
}

_STALE = """
    SELECT name, dirty_since FROM projects WHERE dirty_since IS NOT NULL ORDER BY name
"""
_MARK_ALL_STALE = "UPDATE projects SET dirty_since = now()"
# Only where nothing changed since it was read: what came later is for the next round.
_MARK_PUBLISHED = """
    UPDATE projects SET dirty_since = NULL WHERE name = %(name)s AND dirty_since = %(dirty_since)s
"""
_PROJECTS = """
    SELECT project_id, name, display_name FROM projects WHERE name = ANY(%(names)s) ORDER BY name
"""
_VERSIONS = """
    SELECT project_id, version_id, version, yanked, yanked_reason, requires_python, present
    FROM versions WHERE project_id = ANY(%(projects)s)
"""
_JOBS = """
    SELECT version_id, targets.name AS target, state, reason
    FROM versions JOIN jobs USING (version_id) JOIN targets USING (target_id)
    WHERE project_id = ANY(%(projects)s) ORDER BY target
"""
_BUILDS = """
    SELECT version_id, build_id, targets.name AS target, builds.attempt, status, builds.reason,
           started_at, builds.finished_at, duration_s, build_logs.size_bytes AS log_size_bytes
    FROM versions JOIN jobs USING (version_id) JOIN targets USING (target_id)
         JOIN builds USING (job_id) LEFT JOIN build_logs USING (build_id)
    WHERE project_id = ANY(%(projects)s) ORDER BY build_id
"""
_WHEELS = """
    SELECT files.version_id, filename, targets.name AS target, files.size_bytes, sha256,
           metadata_sha256, files.requires_python, uploaded_at, not_armv6,
           ARRAY(SELECT dependency FROM file_dependencies
                 WHERE file_dependencies.file_id = files.file_id AND tool = 'apt'
                 ORDER BY dependency) AS apt_packages
    FROM versions JOIN files USING (version_id) JOIN builds USING (build_id)
         JOIN jobs USING (job_id) JOIN targets USING (target_id)
    WHERE project_id = ANY(%(projects)s) AND withdrawn_at IS NULL ORDER BY filename
"""
_LOG = "SELECT log FROM build_logs WHERE build_id = %(build_id)s"
_TARGETS = "SELECT name, python_version, platform_tag FROM targets ORDER BY name"
_ANY_WHEEL = "SELECT EXISTS (SELECT FROM files) AS any_wheel"
# In one row: there may be very many, and each row is a value of its own.
_KNOWN = "SELECT ARRAY(SELECT name::text FROM projects) AS names"
_OFFERED = """
    SELECT name FROM projects WHERE EXISTS (
        SELECT FROM versions JOIN files USING (version_id)
        WHERE versions.project_id = projects.project_id AND versions.present
              AND withdrawn_at IS NULL)
    ORDER BY name
"""
_COUNTS = """
    SELECT targets.name, python_version, platform_tag,
           coalesce(sum(jobs) FILTER (WHERE state = 'built'), 0)::bigint AS built,
           coalesce(sum(jobs) FILTER (WHERE state = 'failed'), 0)::bigint AS failed,
           coalesce(sum(jobs) FILTER (WHERE state = 'skipped'), 0)::bigint AS skipped,
           coalesce(sum(jobs) FILTER (WHERE state IN ('pending', 'leased')), 0)::bigint AS waiting
    FROM targets LEFT JOIN job_counts USING (target_id)
    GROUP BY targets.name, python_version, platform_tag ORDER BY targets.name
"""
_RECENT = """
    SELECT projects.name AS project, version, targets.name AS target, status, builds.reason,
           recorded_at
    FROM builds JOIN jobs USING (job_id) JOIN versions USING (version_id)
         JOIN projects USING (project_id) JOIN targets USING (target_id)
    WHERE versions.present ORDER BY recorded_at DESC, build_id DESC LIMIT %(limit)s
"""


def stale(cursor: Any) -> dict[str, datetime]:
    """Return the projects whose pages must be rendered and carried, with since when."""
    cursor.execute(_STALE)
    return {row.name: row.dirty_since for row in cursor.fetchall()}


def mark_all_stale(cursor: Any) -> int:
    """Have every project rendered and carried again; return how many there are."""
    cursor.execute(_MARK_ALL_STALE)
    return int(cursor.rowcount)


def mark_published(cursor: Any, carried: Iterable[tuple[str, datetime]]) -> int:
    """Note that projects were published as they were at their moment; return how many are."""
    published = 0
    for name, dirty_since in carried:
        cursor.execute(_MARK_PUBLISHED, {"name": name, "dirty_since": dirty_since})
        published += cursor.rowcount
    return published


def knows_wheels(cursor: Any) -> bool:
    """Return whether any wheel was ever recorded."""
    cursor.execute(_ANY_WHEEL)
    return bool(cursor.fetchone().any_wheel)


def known(cursor: Any) -> set[str]:
    """Return the names of all projects."""
    cursor.execute(_KNOWN)
    return set(cursor.fetchone().names)


def names(cursor: Any) -> tuple[str, ...]:
    """Return the names of the projects that have a wheel to offer, sorted."""
    cursor.execute(_OFFERED)
    return tuple(row.name for row in cursor.fetchall())


def targets(cursor: Any) -> tuple[Target, ...]:
    """Return all targets by name, retired ones too: their wheels are still there."""
    cursor.execute(_TARGETS)
    return tuple(
        Target(row.name, row.python_version, row.platform_tag) for row in cursor.fetchall()
    )


def projects(cursor: Any, names: Sequence[str]) -> dict[str, Project]:
    """Return the named projects with all that their pages show, by name."""
    known_targets = targets(cursor)
    cursor.execute(_PROJECTS, {"names": list(names)})
    rows = cursor.fetchall()
    ids = {"projects": [row.project_id for row in rows]}
    jobs = _by_version(cursor, _JOBS, ids)
    builds = _by_version(cursor, _BUILDS, ids)
    wheels = _by_version(cursor, _WHEELS, ids)
    versions: defaultdict[int, list[Version]] = defaultdict(list)
    cursor.execute(_VERSIONS, ids)
    for row in cursor.fetchall():
        versions[row.project_id].append(
            Version(
                version=row.version,
                yanked=row.yanked,
                yanked_reason=row.yanked_reason,
                requires_python=row.requires_python,
                present=row.present,
                jobs=tuple(
                    Job(job.target, _STATES[job.state], job.reason) for job in jobs[row.version_id]
                ),
                wheels=tuple(_wheel(wheel) for wheel in wheels[row.version_id]),
                builds=tuple(_build(build) for build in builds[row.version_id]),
            )
        )
    return {
        row.name: Project(
            row.name, row.display_name, tuple(versions[row.project_id]), known_targets
        )
        for row in rows
    }


def log(cursor: Any, build_id: int) -> bytes:
    """Return the log of a build, as UTF-8 text. Raises KeyError when it has none."""
    cursor.execute(_LOG, {"build_id": build_id})
    row = cursor.fetchone()
    if row is None:
        raise KeyError(f"build {build_id} has no log")
    return gzip.decompress(bytes(row.log))


def farm(cursor: Any) -> Farm:
    """Return what the start page shows."""
    cursor.execute(_COUNTS)
    counts = tuple(
        TargetCount(
            Target(row.name, row.python_version, row.platform_tag),
            built=row.built,
            failed=row.failed,
            skipped=row.skipped,
            waiting=row.waiting,
        )
        for row in cursor.fetchall()
    )
    cursor.execute(_RECENT, {"limit": RECENT_BUILDS})
    return Farm(counts, tuple(RecentBuild(*row) for row in cursor.fetchall()))


def _by_version(cursor: Any, query: str, ids: dict[str, Any]) -> defaultdict[int, list[Any]]:
    cursor.execute(query, ids)
    rows: defaultdict[int, list[Any]] = defaultdict(list)
    for row in cursor.fetchall():
        rows[row.version_id].append(row)
    return rows


def _wheel(row: Any) -> Wheel:
    return Wheel(
        filename=row.filename,
        target=row.target,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        metadata_sha256=row.metadata_sha256,
        requires_python=row.requires_python,
        uploaded_at=row.uploaded_at,
        apt_packages=tuple(row.apt_packages),
        not_armv6=row.not_armv6,
    )


def _build(row: Any) -> Build:
    return Build(
        build_id=row.build_id,
        target=row.target,
        attempt=row.attempt,
        status=row.status,
        reason=row.reason,
        started_at=row.started_at,
        finished_at=row.finished_at,
        duration_s=row.duration_s,
        log_size_bytes=row.log_size_bytes,
    )
