"""Which versions get a job, for which targets. The one place that decides it.

A version is built for a target when the index has an sdist of it with a hash, it isn't yanked, its
Requires-Python admits the target's Python, no skip rule names it, and it's among the newest of a
project that the farm follows. What an operator asks for by name needs no place among those.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from packaging.utils import parse_wheel_filename
from packaging.version import Version

from master.database.connection import Cursor
from master.jobs import reasons, sql, transitions
from master.jobs.reasons import Code, Reason
from master.targets.tags import Target, runs_on, serves

ASKED_FOR = 100
"""The priority of what an operator asks for by name."""


@dataclass(frozen=True)
class Candidate:
    """A version, as planning sees it."""

    version_id: int
    version: str
    yanked: bool
    present: bool
    requires_python: str | None
    upstream_file_id: int | None
    wheels: tuple[str, ...] = ()
    """Those in the store that serve every platform."""
    is_compiled: bool = False
    """Its project has wheels for single platforms: one that serves them all may lack something."""

    @property
    def parsed(self) -> Version:
        return Version(self.version)

    @property
    def upstream_obstacle(self) -> Code | None:
        """What keeps it from being built for any target."""
        if not self.present:
            return Code.GONE
        if self.yanked:
            return Code.YANKED
        return Code.NO_SDIST if self.upstream_file_id is None else None

    def covered_by(self, target: Target) -> str | None:
        """Return the wheel of the store that serves the target as well as one of its own would."""
        if self.is_compiled:
            return None
        found = (w for w in self.wheels if serves(parse_wheel_filename(w)[3], target))
        return next(found, None)


@dataclass(frozen=True)
class Skip:
    version_id: int | None
    target_id: int | None
    reason: str

    def names(self, version_id: int, target: Target) -> bool:
        return self.version_id in {None, version_id} and self.target_id in {None, target.target_id}


@dataclass
class Planned:
    """What planning did."""

    queued: int = 0
    skipped: int = 0
    job_ids: list[int] = field(default_factory=list)
    """Of what was asked for by name, and is or will be built."""
    already_built: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return bool(self.queued or self.skipped)


def wanted(candidates: Iterable[Candidate], target: Target, newest: int | None) -> list[Candidate]:
    """Return the versions that the target should have, newest first.

    newest is how many, None for all and 0 for none. Pre-releases count only where there is nothing
    else.
    """
    fit = [
        candidate
        for candidate in candidates
        if candidate.upstream_obstacle is None and runs_on(candidate.requires_python, target)
    ]
    fit.sort(key=lambda candidate: candidate.parsed, reverse=True)
    if newest is None:
        return fit
    # 1.0 and 1.0.0 are one version (PEP 440): the one that the farm knew first stands for both.
    distinct: dict[Version, Candidate] = {}
    for candidate in sorted(fit, key=lambda candidate: candidate.version_id):
        distinct.setdefault(candidate.parsed, candidate)
    fit = [candidate for candidate in fit if candidate is distinct[candidate.parsed]]
    final = [candidate for candidate in fit if not candidate.parsed.is_prerelease]
    return (final or fit)[:newest]


def candidates(cursor: Cursor, project_id: int) -> list[Candidate]:
    """Return all versions of the project."""
    compiled = is_compiled(cursor, project_id)
    cursor.execute(sql.VERSIONS, {"project_id": project_id})
    return [
        Candidate(**{**row._asdict(), "wheels": tuple(row.wheels)}, is_compiled=compiled)
        for row in cursor.fetchall()
    ]


def is_compiled(cursor: Cursor, project_id: int) -> bool:
    """Return whether the project is known to have wheels for single platforms, here or on PyPI."""
    cursor.execute(sql.COMPILED, {"project_id": project_id})
    return bool(cursor.fetchone().is_compiled)


def skips(cursor: Cursor, project_id: int) -> list[Skip]:
    """Return the rules that keep the project, or some of it, from being built."""
    cursor.execute(sql.SKIPS, {"project_id": project_id})
    return [Skip(*row) for row in cursor.fetchall()]


def project(
    cursor: Cursor,
    project_id: int,
    targets: Sequence[Target],
    newest: int | None,
    now: datetime,
) -> Planned:
    """Queue what the targets want of a project and have no job for.

    newest is how many of its versions, None for all, and 0 when the farm doesn't follow it. What is
    not to be built any longer is taken out of the queue, and what had been taken out so comes back
    when its obstacle is gone. What was built or failed is only touched when its sdist was replaced
    by another: that one is then built.
    """
    planned = Planned()
    if not targets:
        return planned
    known = candidates(cursor, project_id)
    rules = skips(cursor, project_id)
    by_id = {candidate.version_id: candidate for candidate in known}
    cursor.execute(sql.JOBS, {"project_id": project_id, "targets": [t.target_id for t in targets]})
    jobs = {(job.version_id, job.target_id): job for job in cursor.fetchall()}
    for target in targets:
        chosen = {candidate.version_id: candidate for candidate in wanted(known, target, newest)}
        for candidate in chosen.values():
            if (candidate.version_id, target.target_id) not in jobs:
                insert(cursor, candidate, target, rules=rules, planned=planned, now=now)
        for (version_id, target_id), job in jobs.items():
            if target_id == target.target_id:
                candidate = by_id[version_id]
                code = _upstream(candidate, job)
                reason = reasons.plain(code) if code else obstacle(candidate, target, rules)
                # What was published is replaced, though the settings want it no longer.
                stays = job.priority >= ASKED_FOR or job.is_rebuild or job.state == "built"
                if not reason and version_id not in chosen and not stays:
                    reason = reasons.plain(_unwanted(candidate, target, newest))
                _revise(cursor, job, candidate, reason, planned=planned, now=now)
    if planned.changed:
        transitions.mark_stale(cursor, project_id, now)
    return planned


def drop(cursor: Cursor, targets: Sequence[Target], now: datetime) -> list[str]:
    """Take what waits of projects that the farm doesn't follow out of the queue; their names.

    What was asked for by name stays.
    """
    bound = {"targets": [target.target_id for target in targets], "priority": ASKED_FOR}
    cursor.execute(sql.NOT_FOLLOWED, bound)
    return [
        row.name
        for row in cursor.fetchall()
        if project(cursor, row.project_id, targets, 0, now).changed
    ]


def insert(
    cursor: Cursor,
    candidate: Candidate,
    target: Target,
    *,
    rules: Sequence[Skip],
    planned: Planned,
    now: datetime,
    priority: int = 0,
) -> int | None:
    """Add a job, pending or skipped from the start; its job_id, None if it was there meanwhile."""
    reason = obstacle(candidate, target, rules)
    job_id = transitions.insert(
        cursor,
        version_id=candidate.version_id,
        target_id=target.target_id,
        upstream_file_id=candidate.upstream_file_id,
        priority=priority,
        reason=reason,
        now=now,
    )
    if job_id is None:
        return None
    if reason:
        planned.skipped += 1
    else:
        planned.queued += 1
    return job_id


def obstacle(candidate: Candidate, target: Target, rules: Sequence[Skip]) -> Reason | None:
    """Return why a version that has an sdist is not to be built for the target."""
    for rule in rules:
        if rule.names(candidate.version_id, target):
            return Reason(Code.SKIP_RULE, f"skip rule: {rule.reason}")
    covering = candidate.covered_by(target)
    return reasons.covered(covering) if covering else None


def _upstream(candidate: Candidate, job: Any) -> Code | None:
    """Return what on the index keeps the job from being built."""
    upstream = candidate.upstream_obstacle
    if upstream == Code.YANKED and job.priority >= ASKED_FOR:
        # Someone wants just this one, as pip allows with == (PEP 592): if it can be built at all.
        return Code.NO_SDIST if candidate.upstream_file_id is None else None
    return upstream


def _unwanted(candidate: Candidate, target: Target, newest: int | None) -> Code:
    """Return why a version that could be built isn't one of wanted()."""
    if newest == 0:
        return Code.NOT_FOLLOWED
    fits = runs_on(candidate.requires_python, target)
    return Code.NOT_NEWEST if fits else Code.OTHER_PYTHON


def _revise(
    cursor: Cursor,
    job: Any,
    candidate: Candidate,
    reason: Reason | None,
    *,
    planned: Planned,
    now: datetime,
) -> None:
    """Take a job out of the queue for the reason, or back into it when there is none."""
    sdist = candidate.upstream_file_id
    match job.state:
        case "built" | "failed" if job.is_outdated and not reason:
            # Made from an sdist that was replaced: it says nothing of the new one.
            planned.queued += transitions.requeue(cursor, job.job_id, sdist, now)
        case "skipped" if not reason and _is_undone(job, candidate):
            planned.queued += transitions.requeue(cursor, job.job_id, sdist, now)
        case "pending" if not reason and (job.is_renewed or job.upstream_file_id != sdist):
            # Its sdist went, and there is another: .zip for .tar.gz, other bytes, or what kept it
            # from being fetched was of the one before.
            transitions.requeue(cursor, job.job_id, sdist, now)
        case "pending" | "skipped" if reason and (reason.code, reason.words) != (
            job.reason_code,
            job.reason,
        ):
            # Of what is out of the queue already, the page says why it is now.
            if job.state == "pending" or _is_undone(job, candidate):
                skipped = transitions.skip(cursor, [job.job_id], job.state, reason, now)
                planned.skipped += skipped


def _is_undone(job: Any, candidate: Candidate) -> bool:
    """Return whether what a job was skipped for may pass, or has passed."""
    if job.reason_code in {Code.COVERED, Code.SAME_AS}:
        is_gone = job.covered_by not in candidate.wheels
        # One that was tried, and made a wheel that serves all, would only make it again.
        return is_gone or (candidate.is_compiled and job.reason_code == Code.COVERED)
    return job.reason_code in reasons.PASSING
