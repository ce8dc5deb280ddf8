"""What an operator asks to be built by name: NAME or NAME==VERSION, now and before all else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from packaging.version import Version

from master import names
from master.database.connection import Cursor
from master.errors import FarmError
from master.jobs import policy, reasons, sql, transitions
from master.jobs.policy import Candidate, Planned
from master.jobs.reasons import Code
from master.targets.tags import Target, runs_on


class CannotBuildError(FarmError):
    """What was asked for can't be built; the message names it."""


def queue(
    cursor: Cursor,
    packages: Sequence[str],
    unread: Mapping[str, str],
    targets: Sequence[Target],
    now: datetime,
) -> Planned:
    """Queue each package for each target that can have it, failed ones again.

    A name alone stands for the newest version. unread has projects of which the index told nothing
    just now, each with the reason. Raises CannotBuildError, with all that can't be built for any of
    the targets.
    """
    asked, problems = read(packages)
    problems += unread.values()
    planned = Planned()
    for name, version in asked:
        try:
            if name not in unread:
                _build(cursor, name, version, targets, planned=planned, now=now)
        except CannotBuildError as error:
            problems.append(str(error))
    if len(problems) > 1:
        lines = "".join(f"\n- {problem}" for problem in problems)
        raise CannotBuildError(f"nothing is queued, as some of it can't be built:{lines}")
    if problems:
        raise CannotBuildError(f"nothing is queued: {problems[0]}")
    return planned


def read(packages: Sequence[str]) -> tuple[list[tuple[str, str | None]], list[str]]:
    """Return projects, each with a version or None for its newest; and why others are not read."""
    asked, problems = [], []
    for text in packages:
        try:
            asked.append(names.package(text))
        except names.BadNameError as error:
            problems.append(str(error))
    return asked, problems


def _build(
    cursor: Cursor,
    name: str,
    version: str | None,
    targets: Sequence[Target],
    *,
    planned: Planned,
    now: datetime,
) -> None:
    project_id = _project_id(cursor, name)
    if project_id is None:
        raise CannotBuildError(f"{name} is not known to the farm: correct the name")
    known = policy.candidates(cursor, project_id)
    rules = policy.skips(cursor, project_id)
    target_ids = [target.target_id for target in targets]
    cursor.execute(sql.JOBS, {"project_id": project_id, "targets": target_ids})
    jobs = {(job.version_id, job.target_id): job for job in cursor.fetchall()}
    before = planned.queued + planned.skipped
    for target, candidate in _chosen(cursor, name, version, known, targets):
        what = f"{name}=={candidate.version} ({target.name})"
        for rule in rules:
            if rule.names(candidate.version_id, target):
                raise CannotBuildError(
                    f"{what} is kept back by a skip rule ({rule.reason}): remove it first"
                )
        job = jobs.get((candidate.version_id, target.target_id))
        is_built = job is not None and job.state == "built" and not job.is_outdated
        if candidate.covered_by(target) or is_built:
            planned.already_built.append(what)
        elif job:
            planned.job_ids.append(_again(cursor, job, candidate, planned, now))
        else:
            job_id = policy.insert(
                cursor,
                candidate,
                target,
                rules=rules,
                planned=planned,
                now=now,
                priority=policy.ASKED_FOR,
            )
            planned.job_ids += [job_id] if job_id else []
    if planned.queued + planned.skipped > before:
        transitions.mark_stale(cursor, project_id, now)


def _again(cursor: Cursor, job: Any, candidate: Candidate, planned: Planned, now: datetime) -> int:
    """Move a job that is there to the front, and queues it again if it failed; its job_id."""
    sdist, first = candidate.upstream_file_id, policy.ASKED_FOR
    if job.state in {"built", "failed", "skipped"}:
        planned.queued += transitions.requeue(cursor, job.job_id, sdist, now, first)
    elif job.state == "pending" and job.upstream_file_id != sdist:
        # Its sdist went, and there is another; of a project that no sync reads only this sees it.
        transitions.requeue(cursor, job.job_id, sdist, now, first)
    else:
        cursor.execute(sql.RAISE, {"job_id": job.job_id, "priority": first})
    return int(job.job_id)


def _chosen(
    cursor: Cursor,
    name: str,
    version: str | None,
    known: Sequence[Candidate],
    targets: Sequence[Target],
) -> list[tuple[Target, Candidate]]:
    """Return what stands for the package at each target. Raises CannotBuildError if none."""
    if version is None:
        chosen = [(t, c) for t in targets for c in policy.wanted(known, t, 1)]
        if not chosen:
            raise CannotBuildError(_why_none(name, known, targets))
        return chosen
    candidate = _exact(cursor, name, version, known)
    chosen = [(t, candidate) for t in targets if runs_on(candidate.requires_python, t)]
    if not chosen:
        raise CannotBuildError(_wrong_python(f"{name} {version}", candidate, targets))
    return chosen


def _project_id(cursor: Cursor, name: str) -> int | None:
    cursor.execute(sql.PROJECT, {"name": name})
    row = cursor.fetchone()
    return int(row.project_id) if row else None


def _exact(cursor: Cursor, name: str, version: str, known: Sequence[Candidate]) -> Candidate:
    """Return the candidate with just this version, if it can be built at all."""
    # 1.0 and 1.0.0 are one version (PEP 440), and the index may have files of one spelling alone.
    found = [c for c in known if c.parsed == Version(version)]
    found.sort(key=lambda candidate: candidate.upstream_obstacle is not None)
    if not found:
        newest = sorted((c.parsed for c in known if c.present), reverse=True)[:3]
        has = f"the newest are {', '.join(map(str, newest))}" if newest else "it has none"
        raise CannotBuildError(f"{name} has no version {version} ({has}): correct the version")
    candidate = found[0]
    if not candidate.present:
        why = reasons.WORDS[Code.GONE]
        raise CannotBuildError(f"{name} {version} is {why}: choose another version")
    if candidate.upstream_file_id is None:
        cursor.execute(sql.FILES, {"version_id": candidate.version_id})
        files = ", ".join(row.filename for row in cursor.fetchall()[:3]) or "no files"
        raise CannotBuildError(
            f"{name} {version} has {reasons.WORDS[Code.NO_SDIST]} (but {files}), so there is "
            f"nothing to build from: choose another version, or ask its authors for an sdist"
        )
    return candidate


def _why_none(name: str, known: Sequence[Candidate], targets: Sequence[Target]) -> str:
    fit = [c for c in known if c.upstream_obstacle is None]
    if fit:
        return _wrong_python(name, max(fit, key=lambda c: c.parsed), targets)
    why = sorted({reasons.WORDS[c.upstream_obstacle] for c in known if c.upstream_obstacle})
    return (
        f"{name} has no version that can be built ({', '.join(why) or 'it has none at all'}): "
        f"choose another project"
    )


def _wrong_python(what: str, candidate: Candidate, targets: Sequence[Target]) -> str:
    pythons = ", ".join(f"{t.name} has {t.python_version}" for t in targets)
    return (
        f"{what} needs Python {candidate.requires_python}, and {pythons}: choose an older version"
    )
