"""Rows that a test writes by hand, in any state: for what only reads them, whoever wrote."""

from __future__ import annotations

import gzip
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from master.config import Config
from master.database.connection import Connection
from tests.support.cluster import Cluster
from tests.support.wheels import Forge

START = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Rows:
    """A database as the superuser has it, who sees and may do everything."""

    def __init__(self, cluster: Cluster, config: Config) -> None:
        self.cluster = cluster
        self.config = config
        self.now = START
        self._conn: Connection | None = None

    def rows(self, statement: str, *values: Any) -> list[Any]:
        if self._conn is None or self._conn.closed:
            self._conn = self.cluster.connect(self.config.database.name)
        with self._conn, self._conn.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def value(self, statement: str, *values: Any) -> Any:
        return self.rows(statement, *values)[0][0]

    def disconnect(self) -> None:
        """Let go of the database, which is about to go or has restarted."""
        if self._conn:
            self._conn.close()

    def dirty(self, project: str) -> None:
        """Have the site show a project anew."""
        self.rows("UPDATE projects SET dirty_since = clock_timestamp() WHERE name = %s", project)

    def version(self, project: str, version: str) -> tuple[int, int]:
        """Return the ids of a version and of its sdist."""
        project_id = self._write("projects", "name", name=project, display_name=project)
        version_id = self._write(
            "versions", "project_id, version", project_id=project_id, version=version
        )
        filename = f"{project}-{version}.tar.gz"
        sdist_id = self._write(
            "upstream_files",
            "filename",
            filename=filename,
            version_id=version_id,
            kind="sdist",
            url=f"https://files.example/{filename}",
            sha256=hashlib.sha256(filename.encode()).hexdigest(),
        )
        return version_id, sdist_id

    def builder(self, name: str, target: str = "bookworm", **columns: Any) -> int:
        return self._write("builders", "name", name=name, target_id=self._target(target), **columns)

    def job(
        self,
        project: str,
        version: str,
        state: str = "pending",
        target: str = "bookworm",
        **columns: Any,
    ) -> int:
        """Return a job with what its state asks for, unless columns say otherwise."""
        version_id, sdist_id = self.version(project, version)
        ended = {"attempt": 1, "finished_at": self.now}
        asked: dict[str, dict[str, Any]] = {
            "pending": {},
            "leased": {"attempt": 1, "leased_at": self.now - timedelta(minutes=1)},
            "built": ended,
            "failed": {**ended, "reason": "why", "reason_code": "build-failed"},
            "skipped": {**ended, "reason": "why", "reason_code": "not-newest"},
        }
        return self._write(
            "jobs",
            "version_id, target_id",
            version_id=version_id,
            target_id=self._target(target),
            upstream_file_id=sdist_id,
            state=state,
            **asked[state] | columns,
        )

    def build(
        self, job: int, builder: int, reason: str | None = None, log: str = "", **columns: Any
    ) -> int:
        """Return the first attempt at a job, which failed where there is a reason."""
        build_id = self._write(
            "builds",
            "job_id, attempt",
            job_id=job,
            attempt=1,
            builder_id=builder,
            status="failed" if reason else "built",
            reason=reason,
            reason_code="build-failed" if reason else None,
            finished_at=self.now,
            **columns,
        )
        text = log.encode()
        logged = "INSERT INTO build_logs VALUES (%s, %s, %s)"
        self.rows(logged, build_id, gzip.compress(text), len(text))
        return build_id

    def wheel(self, build: int, forge: Forge, apt: tuple[str, ...] = ()) -> None:
        """Store and record what a build made."""
        content, metadata = forge.bytes(), forge.contents()[f"{forge.folder}/METADATA"]
        path = self.config.store / forge.project / forge.filename
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        path.with_name(f"{path.name}.metadata").write_bytes(metadata)
        file_id = self._write(
            "files",
            "filename",
            filename=forge.filename,
            build_id=build,
            version_id=self.version(forge.project, forge.version)[0],
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            metadata_sha256=hashlib.sha256(metadata).hexdigest(),
            requires_python=">=3.9",
        )
        for package in apt:
            self.rows("INSERT INTO file_dependencies VALUES (%s, 'apt', %s)", file_id, package)

    def failed(self, project: str, version: str, reason: str, target: str = "bookworm") -> int:
        """Return a build that failed, of a project that the site is to show anew."""
        job = self.job(project, version, "failed", target, reason=reason)
        log = f"log of {project}\n{reason}\n"
        build = self.build(job, self.builder(f"pi-{target}", target), reason, log)
        self.dirty(project)
        return build

    def built(self, filename: str, target: str = "bookworm", apt: tuple[str, ...] = ()) -> int:
        """Return the build of a wheel that pip can install, which the site is to show."""
        module, version, *build_tag, python, abi, platform = filename[: -len(".whl")].split("-")
        forge = Forge(
            project=module.replace("_", "-"),
            version=version,
            tag=f"{python}-{abi}-{platform}",
            build="".join(build_tag),
            files={f"{module}.py": f"version = {version!r}\n".encode()},
        )
        job = self.job(forge.project, version, "built", target)
        log = f"log of {filename}\n"
        build = self.build(job, self.builder(f"pi-{target}", target), log=log)
        self.wheel(build, forge, apt)
        self.dirty(forge.project)
        return build

    def _target(self, name: str) -> int:
        return int(self.value("SELECT target_id FROM targets WHERE name = %s", name))

    def _write(self, table: str, key: str, **columns: Any) -> int:
        """Return the id of a row, which is changed where there is one with the same key."""
        names, places = ", ".join(columns), ", ".join(["%s"] * len(columns))
        changes = ", ".join(f"{name} = excluded.{name}" for name in columns)
        return int(
            self.value(
                f"INSERT INTO {table} ({names}) VALUES ({places})"
                f" ON CONFLICT ({key}) DO UPDATE SET {changes} RETURNING {table[:-1]}_id",
                *columns.values(),
            )
        )
