"""What a project's page says, for programs. Times are UTC, durations are seconds.

URLs are relative to the page.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from master.site import queries
from master.site.model import Build, Job, Project, Version, Wheel
from master.site.page import Content, ProjectPage, Site
from master.site.simple import upload_time


def render(_: Site, project: Project) -> dict[str, Content]:
    value = {
        "name": project.name,
        "display_name": project.display_name,
        "removed": project.removed,
        "targets": [
            {
                "name": target.name,
                "python_version": target.python_version,
                "platform_tag": target.platform_tag,
            }
            for target in project.targets
        ],
        "versions": [_version(project, version) for version in project.newest_first],
    }
    page = (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()
    return {f"project/{project.name}/index.json": page}


def _version(project: Project, version: Version) -> dict[str, Any]:
    return {
        "version": version.version,
        "yanked": version.yanked,
        "yanked_reason": version.yanked_reason,
        "requires_python": version.requires_python,
        "present": version.present,
        "targets": {job.target: _job(version, job) for job in version.jobs},
        "files": [_wheel(project, wheel) for wheel in version.offered],
        "builds": [_build(build) for build in version.builds],
    }


def _job(version: Version, job: Job) -> dict[str, Any]:
    log = version.log_of(job.target)
    return {
        "state": job.state,
        "reason": job.reason,
        "log": _log_url(log) if log else None,
        "apt_packages": sorted(
            {name for wheel in version.wheels_for(job.target) for name in wheel.apt_packages}
        ),
    }


def _wheel(project: Project, wheel: Wheel) -> dict[str, Any]:
    return {
        "filename": wheel.filename,
        "url": f"../../files/{project.name}/{quote(wheel.filename)}",
        "target": wheel.target,
        "size": wheel.size_bytes,
        "sha256": wheel.sha256,
        "requires_python": wheel.requires_python,
        "upload_time": upload_time(wheel.uploaded_at),
        "apt_packages": list(wheel.apt_packages),
        "not_armv6": wheel.not_armv6,
    }


def _build(build: Build) -> dict[str, Any]:
    return {
        "build_id": build.build_id,
        "target": build.target,
        "attempt": build.attempt,
        "status": build.status,
        "reason": build.reason,
        "started_at": upload_time(build.started_at) if build.started_at else None,
        "finished_at": upload_time(build.finished_at),
        "duration_s": build.duration_s,
        "log": _log_url(build) if build.log_size_bytes is not None else None,
    }


def _log_url(build: Build) -> str:
    return f"log/{build.build_id}.txt"


PAGE = ProjectPage(queries.projects, render)
