"""The pages that people read. Everything on them may be a stranger's text, and is escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from master.site.model import Build, Farm, Job, Project, Target, Version, Wheel
from master.site.simple import upload_time
from master.text import duration, one_line

HERE = Path(__file__).parent

# ECMA-48 control sequences, as compilers colour their messages with.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_STATE_WORDS = {
    "pending": "waits to be built",
    "building": "is being built",
    "built": "built",
    "failed": "failed",
    "skipped": "skipped",
}


class People:
    """Renders pages for a farm that is reached at site_url."""

    def __init__(self, site_url: str) -> None:
        self._site_url = site_url
        environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        environment.filters["day"] = day
        environment.filters["duration"] = duration
        environment.filters["size"] = size
        environment.filters["state_words"] = _STATE_WORDS.__getitem__
        environment.filters["quoted"] = quote
        environment.filters["one_line"] = one_line
        self._start = environment.get_template("start.html.j2")
        self._project = environment.get_template("project.html.j2")

    def start(self, farm: Farm) -> bytes:
        """The start page: what this is, how to use it, what was built last."""
        return self._start.render(farm=farm, site_url=self._site_url, root="").encode()

    def project(self, project: Project, targets: Sequence[Target]) -> bytes:
        """A project's page: how to install it, its versions and targets, wheels and builds."""
        return self._project.render(
            project=project,
            targets=shown(project, targets),
            site_url=self._site_url,
            root="../../",
        ).encode()


def project_json(project: Project, targets: Sequence[Target]) -> bytes:
    """What a project's page says, for programs. Times are UTC, durations are seconds.

    URLs are relative to the page.
    """
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
            for target in shown(project, targets)
        ],
        "versions": [_version(project, version) for version in project.newest_first],
    }
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def style() -> bytes:
    """The style sheet of all pages."""
    return (HERE / "style.css").read_bytes()


def log_text(log: bytes) -> bytes:
    """A build's log as plain text: without colours, and without anything that steers a terminal."""
    text = log.decode("utf-8", errors="replace")
    text = _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("", text).encode()


def shown(project: Project, targets: Sequence[Target]) -> list[Target]:
    """The targets that a project was ever planned for."""
    planned = {job.target for version in project.newest_first for job in version.jobs}
    return [target for target in targets if target.name in planned]


def day(moment: datetime) -> str:
    """A moment's date in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d")


def size(size_bytes: int) -> str:
    """A size for people, in decimal units as rsync, browsers and disks have them."""
    value = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 9.95 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def log_name(project: str, build_id: int) -> str:
    """Where a build's log stands, relative to the site's root."""
    return f"project/{project}/log/{build_id}.txt"


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
