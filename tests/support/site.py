"""A farm with real wheels: rows as recording leaves them, files as the store has them."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.ansible.posix.plugins.modules import synchronize
from packaging.utils import parse_wheel_filename
from psycopg2.extensions import connection

from master.config import Config
from master.site import publish
from tests.support.cluster import Cluster

CARRY = Path(__file__).parents[2] / "roles/publish/tasks/carry.yml"
ONE = "one-1.0-cp311-cp311-linux_armv7l.whl"
TWO = "two-2.0-py3-none-any.whl"
INDEX = ("index.html", "index.v1_html", "index.v1_json")


@dataclass
class SiteFarm:
    """Writes to the database as the superuser, since what writes there for real is not the site."""

    cluster: Cluster
    config: Config
    _ids: dict[str, int] = field(default_factory=dict)

    def query(self, statement: str, **values: Any) -> Any:
        """Return the first value of the first row, or None."""
        conn = self.cluster.connect(self.config.database.name)
        try:
            with conn, conn.cursor() as cursor:
                cursor.execute(statement, values)
                row = cursor.fetchone() if cursor.description else None
                return row[0] if row else None
        finally:
            conn.close()

    def target(self, name: str, python: str) -> int:
        tag = "cp" + python.replace(".", "")
        return int(
            self.query(
                """INSERT INTO targets
                       (name, python_version, interpreter_tag, abi_tag, platform_tag)
                   VALUES (%(name)s, %(python)s, %(tag)s, %(tag)s, 'linux_armv7l')
                   ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING target_id""",
                name=name, python=python, tag=tag,
            )
        )  # fmt: skip

    def empty(self) -> None:
        """Empty the database, as it's new on another disk."""
        self.query("TRUNCATE projects, builders CASCADE")

    def project(self, name: str) -> int:
        return int(
            self.query(
                """INSERT INTO projects (name, display_name, dirty_since)
                   VALUES (%(name)s, %(name)s, clock_timestamp())
                   ON CONFLICT (name) DO UPDATE SET dirty_since = clock_timestamp()
                   RETURNING project_id""",
                name=name,
            )
        )

    def job(self, project: str, version: str, target: str = "bookworm", **facts: Any) -> int:
        """Return a job, pending unless facts say otherwise; the project becomes dirty."""
        project_id = self.project(project)
        version_id = self.query(
            """INSERT INTO versions (project_id, version) VALUES (%(project)s, %(version)s)
               ON CONFLICT (project_id, version) DO UPDATE SET version = excluded.version
               RETURNING version_id""",
            project=project_id, version=version,
        )  # fmt: skip
        sdist = self.query(
            """INSERT INTO upstream_files (version_id, filename, kind, url, sha256)
               VALUES (%(version_id)s, %(filename)s, 'sdist', 'https://index.example/x', %(sha)s)
               ON CONFLICT (filename) DO UPDATE SET filename = excluded.filename
               RETURNING upstream_file_id""",
            version_id=version_id, filename=f"{project}-{version}.tar.gz", sha="0" * 64,
        )  # fmt: skip
        return int(
            self.query(
                """INSERT INTO jobs (version_id, target_id, upstream_file_id, state, reason,
                                     reason_code, finished_at, attempt)
                   VALUES (%(version_id)s, %(target_id)s, %(sdist)s, %(state)s, %(reason)s,
                           CASE WHEN %(reason)s::text IS NOT NULL THEN 'build-failed' END,
                           CASE WHEN %(state)s <> 'pending' THEN now() END, 1)
                   RETURNING job_id""",
                version_id=version_id,
                target_id=self.target(target, "3.13" if target == "trixie" else "3.11"),
                sdist=sdist,
                **({"state": "pending", "reason": None} | facts),
            )
        )

    def build(self, job_id: int, status: str, reason: str | None, log: str) -> int:
        builder = self.query(
            """INSERT INTO builders (name, target_id)
               SELECT 'pi-' || target_id, target_id FROM jobs WHERE job_id = %(job_id)s
               ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING builder_id""",
            job_id=job_id,
        )
        build_id = self.query(
            """INSERT INTO builds (job_id, attempt, builder_id, status, reason, reason_code,
                                   finished_at)
               VALUES (%(job_id)s, 1, %(builder)s, %(status)s, %(reason)s,
                       CASE WHEN %(reason)s::text IS NOT NULL THEN 'build-failed' END, now())
               RETURNING build_id""",
            job_id=job_id, builder=builder, status=status, reason=reason,
        )  # fmt: skip
        text = log.encode()
        self.query(
            "INSERT INTO build_logs VALUES (%(build_id)s, %(log)s, %(size)s)",
            build_id=build_id, log=gzip.compress(text), size=len(text),
        )  # fmt: skip
        return int(build_id)

    def failed(self, project: str, version: str, reason: str, target: str = "bookworm") -> int:
        """Return a build that failed."""
        job = self.job(project, version, target, state="failed", reason=reason)
        return self.build(job, "failed", reason, f"log of {project}\n{reason}\n")

    def built(
        self,
        filename: str,
        target: str = "bookworm",
        apt: tuple[str, ...] = (),
        requires_python: str | None = ">=3.8",
    ) -> int:
        """Return a wheel that pip can install, built, recorded and stored."""
        project, parsed, _, _ = parse_wheel_filename(filename)
        version = str(parsed)
        job = self.job(project, version, target, state="built")
        build = self.build(job, "built", None, f"log of {filename}\n")
        content, metadata = self.store(project, filename, version, requires_python)
        file_id = self.query(
            """INSERT INTO files (build_id, version_id, filename, size_bytes, sha256,
                                  metadata_sha256, requires_python)
               SELECT %(build)s, version_id, %(filename)s, %(size)s, %(sha256)s,
                      %(metadata_sha256)s, %(requires_python)s
               FROM jobs WHERE job_id = %(job)s RETURNING file_id""",
            build=build, job=job, filename=filename, size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            metadata_sha256=hashlib.sha256(metadata).hexdigest(),
            requires_python=requires_python,
        )  # fmt: skip
        for package in apt:
            self.query(
                "INSERT INTO file_dependencies VALUES (%(file_id)s, 'apt', %(package)s)",
                file_id=file_id, package=package,
            )  # fmt: skip
        return build

    def store(
        self, project: str, filename: str, version: str, requires_python: str | None
    ) -> tuple[bytes, bytes]:
        """Return the content of a new wheel in the store, and of its METADATA."""
        module = project.replace("-", "_")
        info = f"{module}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n"
        if requires_python:
            metadata += f"Requires-Python: {requires_python}\n"
        tag = filename.removesuffix(".whl").split("-", maxsplit=2)[2]
        members = {
            f"{module}.py": f"version = {version!r}\n",
            f"{info}/METADATA": metadata,
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        }
        members[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*members, f"{info}/RECORD"])
        folder = self.config.store / project
        folder.mkdir(exist_ok=True)
        with zipfile.ZipFile(folder / filename, "w") as archive:
            for name, text in members.items():
                archive.writestr(name, text)
        (folder / f"{filename}.metadata").write_text(metadata)
        return (folder / filename).read_bytes(), metadata.encode()


def files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def carry(config: Config, web: Path, lists: dict[str, int], *kinds: str) -> list[str]:
    """Do what the role publish does; return what rsync had to do.

    The role's task is Ansible's to read, and the module's to run. For ssh there is a script that
    does what sshd does over there, with the master's key: only rrsync is run, in the web root.
    """
    ssh = config.state_dir / "ssh"
    ssh.write_text(f'#!/bin/sh\nshift\nSSH_ORIGINAL_COMMAND="$*" exec rrsync -wo {web.parent}\n')
    ssh.chmod(0o755)
    loader = DataLoader()
    (task,) = loader.load_from_file(str(CARRY), trusted_as_template=True)
    done: list[str] = []
    for kind in kinds or publish.LISTS:
        if lists[kind]:
            variables = {"publish_list": kind, "publish_state_dir": str(config.state_dir)}
            arguments = Templar(loader, variables).template(task["ansible.posix.synchronize"])
            arguments["dest"] = f"web:{arguments['dest']}"
            arguments["rsync_opts"] += [f"--rsh={ssh}"]
            done += synchronized(arguments)
    return done


def synchronized(arguments: dict[str, Any]) -> list[str]:
    """Return what rsync says that it did, of the module synchronize with these arguments."""
    with (
        patch_module_args(arguments),
        redirect_stdout(StringIO()) as said,
        pytest.raises(SystemExit),
    ):
        synchronize.main()
    result = json.loads(said.getvalue())
    assert not result.get("failed"), result
    lines: list[str] = result["stdout_lines"]
    return lines


def publish_all(conn: connection, config: Config, web: Path) -> list[str]:
    rendered = publish.render(conn, config)
    if not rendered.lists:
        return []
    done = carry(config, web, rendered.lists)
    publish.mark_published(conn, config)
    return done


def an_hour_later(farm: SiteFarm) -> None:
    farm.query(
        """UPDATE sync_state SET updated_at = updated_at - interval '1 hour'
           WHERE key = 'hourly_pages'"""
    )


def names(done: list[str]) -> set[str]:
    """Return the files that rsync really sent or removed."""
    return {line.split(" ", 1)[1] for line in done if line.startswith(("<f", ">f", "*d"))}
