"""A farm whose rows are written by hand, in any state: for what only reads them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from master.config import Config
from master.database import connection as db
from master.status import read
from master.status.model import Info

NOW = datetime.now(UTC)
SHA256 = "0" * 64


@dataclass
class StatusFarm:
    """Rows by hand, as the superuser: what is tested is reading, whoever wrote."""

    conn: Any
    config: Config

    def one(self, query: str, *values: object) -> Any:
        with self.conn, self.conn.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchone()[0]

    def target(self, name: str) -> int:
        return int(
            self.one(
                "INSERT INTO targets (name, python_version, interpreter_tag, abi_tag, platform_tag)"
                " VALUES (%s, '3.11', 'cp311', 'cp311', 'linux_armv7l') RETURNING target_id",
                name,
            )
        )

    def builder(self, name: str, target: int, **columns: object) -> int:
        names = ["name", "target_id", *columns]
        places = ", ".join(["%s"] * len(names))
        return int(
            self.one(
                f"INSERT INTO builders ({', '.join(names)}) VALUES ({places}) RETURNING builder_id",
                name,
                target,
                *columns.values(),
            )
        )

    def version(self, project: str, version: str) -> int:
        project_id = self.one(
            "INSERT INTO projects (name, display_name) VALUES (%s, %s)"
            " ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING project_id",
            project,
            project,
        )
        version_id = self.one(
            "INSERT INTO versions (project_id, version) VALUES (%s, %s) RETURNING version_id",
            project_id,
            version,
        )
        filename = f"{project}-{version}.tar.gz"
        self.one(
            "INSERT INTO upstream_files (version_id, filename, kind, url, sha256)"
            " VALUES (%s, %s, 'sdist', %s, %s) RETURNING 1",
            version_id,
            filename,
            f"https://index.example/{filename}",
            SHA256,
        )
        return int(version_id)

    def job(self, version: int, target: int, state: str = "pending", **columns: object) -> int:
        if state in ("built", "failed", "skipped"):
            columns = {"finished_at": NOW, **columns}
        if state in ("failed", "skipped"):
            code = "build-failed" if state == "failed" else "not-newest"
            columns = {"reason": "why", "reason_code": code, **columns}
        names = ["version_id", "target_id", "state", *columns]
        places = ", ".join(["%s"] * len(names))
        return int(
            self.one(
                f"INSERT INTO jobs ({', '.join(names)}, upstream_file_id)"
                f" SELECT {places}, upstream_file_id FROM upstream_files WHERE version_id = %s"
                " RETURNING job_id",
                version,
                target,
                state,
                *columns.values(),
                version,
            )
        )

    def build(self, job: int, builder: int, duration_s: float, reason: str | None = None) -> int:
        return int(
            self.one(
                "INSERT INTO builds (job_id, attempt, builder_id, status, reason, reason_code,"
                " finished_at, duration_s) VALUES (%s, 1, %s, %s, %s, %s, %s, %s)"
                " RETURNING build_id",
                job,
                builder,
                "failed" if reason else "built",
                reason,
                "build-failed" if reason else None,
                NOW,
                duration_s,
            )
        )

    def read(self, **chosen: Any) -> Info:
        with db.session(self.config, "readonly") as conn:
            return read.read(conn, self.config, NOW, **chosen)


def leased(farm: StatusFarm, target: int, builder: int, project: str) -> int:
    return farm.job(
        farm.version(project, "1"),
        target,
        "leased",
        attempt=1,
        builder_id=builder,
        leased_at=NOW - timedelta(seconds=60),
    )
