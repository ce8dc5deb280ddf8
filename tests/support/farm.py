"""A farm without Pis: its database and its master's disk are real, its builders are this class."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from master import config as master_config
from master.config import Config
from master.database import connection as db
from master.database.connection import Connection
from master.fleet import claim
from master.fleet.claim import Claims
from master.results import collect, record
from master.results.collect import Gathered
from master.targets import registry
from master.targets.tags import Target
from master.upstream import project
from master.upstream.model import UpstreamFile, UpstreamProject, UpstreamVersion
from master.upstream.project import Synced
from protocol import VERSION
from tests.support.cluster import Cluster
from tests.support.rows import START, Rows
from tests.support.wheels import BOOKWORM, TRIXIE, Forge

Sync = Callable[..., dict[str, Synced]]
TWO = {"pi1": "bookworm", "pi2": "bookworm"}
"""Two builders, and what they build for."""


def sdist(project: str, version: str, **changes: Any) -> UpstreamFile:
    facts: dict[str, Any] = {
        "filename": f"{project}-{version}.tar.gz",
        "kind": "sdist",
        "url": f"https://files.example/{project}-{version}.tar.gz",
        "sha256": hashlib.sha256(f"{project}{version}".encode()).hexdigest(),
        "size_bytes": 1000,
        "uploaded_at": START,
        "yanked": False,
        "yanked_reason": None,
        "requires_python": None,
    }
    return UpstreamFile(**{**facts, **changes})


def upstream(project: str, *versions: str, **changes: Any) -> UpstreamProject:
    """Return a project of the index with an sdist of each version."""
    found = (UpstreamVersion(v, (sdist(project, v, **changes),)) for v in versions)
    return UpstreamProject(project, tuple(found))


def make_config(cluster: Cluster, database: str, state_dir: Path) -> Config:
    return config_of(str(cluster.root), database, state_dir)


def config_of(host: str, database: str, state_dir: Path) -> Config:
    """Return settings of a farm whose database listens on a socket in the folder host."""
    return master_config.parse(_settings(host, database, state_dir))


def settings(config: Config, **changes: Any) -> dict[str, Any]:
    """Return what stands in the master.json of a farm with this config."""
    database = config.database
    written = _settings(database.host, database.name, config.state_dir)
    return {**written, "pypi_projects": ["demo"], **changes}


def _settings(host: str, database: str, state_dir: Path) -> dict[str, Any]:
    return {
        "database": {"host": host, "port": 5432, "name": database, "sslrootcert": "/ca.crt"},
        "state_dir": str(state_dir),
        "pypi_url": None,
        "pypi_projects": [],
        "pypi_versions": "all",
        "pypi_max_loss_percent": 10,
        "spool_depth": 3,
        "builder_lost_after_s": 900,
        "wheel_max_bytes": 1 << 20,
        "min_free_bytes": 1,
        "site_url": "https://farm.example",
    }


class Farm(Rows):
    facts: Sequence[Target] = (BOOKWORM, TRIXIE)

    def __init__(self, cluster: Cluster, config: Config) -> None:
        super().__init__(cluster, config)
        with self.connect("owner") as conn:
            registry.register(conn, [asdict(target) for target in self.facts], check=False)
        self.targets = self._active()

    @contextmanager
    def connect(self, role: db.Role) -> Iterator[Connection]:
        with db.session(self.config, role) as conn:
            yield conn

    def _active(self) -> Any:
        with self.connect("sync") as conn:
            return registry.active(conn, None)

    def later(self, **duration: float) -> datetime:
        self.now += timedelta(**duration)
        return self.now

    def sync(
        self,
        upstream: UpstreamProject,
        newest: int | None = None,
        targets: Sequence[str] = ("bookworm", "trixie"),
        *,
        check: bool = False,
    ) -> Synced:
        with self.connect("sync") as conn:
            return project.store(
                conn,
                upstream,
                upstream.name,
                targets=[target for target in self.targets if target.name in targets],
                newest=newest,
                now=self.now,
                check=check,
            )

    def states(self, target: str = "bookworm") -> dict[str, str]:
        """Return the state of the job of each version, by PROJECT VERSION."""
        return dict(
            self.rows(
                "SELECT p.name || ' ' || v.version, j.state FROM jobs j"
                " JOIN targets t USING (target_id) JOIN versions v USING (version_id)"
                " JOIN projects p USING (project_id) WHERE t.name = %s ORDER BY job_id",
                target,
            )
        )

    def claim(self, fleet: Mapping[str, str] | None = None) -> dict[str, claim.Handout]:
        """Return what each builder is told."""
        return {handout.builder: handout for handout in self.claims(fleet).handouts}

    def claims(self, fleet: Mapping[str, str] | None = None) -> Claims:
        with self.connect("queue") as conn:
            return claim.claim(conn, self.config, self.now, fleet)

    def keys(self, builder: str, fleet: Mapping[str, str] | None = None) -> list[str]:
        """Return the keys of all that it holds after a claim."""
        return self.claim(fleet)[builder].leased

    def gather(self, **said: Mapping[str, Any] | None) -> Gathered:
        """Return a round's end with these reports, and all that they say is done collected."""
        return self.end_round({name: exchange(report) for name, report in said.items()})

    def end_round(self, exchanges: Mapping[str, Mapping[str, Any]]) -> Gathered:
        with self.connect("queue") as conn:
            return collect.gather(conn, self.config, exchanges, self.now)

    def recorder(self, conn: Connection) -> record.Recorder:
        return record.Recorder.open(conn, self.config)

    def record(self, key: str, builder: str = "pi1") -> Any:
        """Return what becomes of one result alone."""
        with self.connect("queue") as conn:
            return self.recorder(conn).record(builder, key, self.now)

    def send(self, builder: str, key: str, forge: Forge | None = None, /, **changes: Any) -> None:
        """Put a result into incoming/: a wheel, or a failure without one."""
        data = forge.bytes() if forge else b""
        filename = forge.filename if forge else ""
        result = {
            "protocol": VERSION,
            "key": key,
            "status": "built" if forge else "failed",
            "reason": None if forge else "no compiler",
            "started_at": self.now.isoformat(),
            "finished_at": self.now.isoformat(),
            "duration_s": 1.5,
            "wheel": {
                "filename": filename,
                "size_bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
            }
            if forge
            else None,
            "apt_packages": ["liblzo2-2"] if forge else [],
        }
        folder = self.config.incoming / builder / key
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps({**result, **changes}))
        (folder / "log.txt").write_text(f"log of {key}\n")
        if forge:
            (folder / filename).write_bytes(data)

    def differences(self) -> list[str]:
        """Return what disagrees among jobs, builds, files, the store and the folders."""
        found = []
        recorded = {
            f"{project}/{filename}{suffix}"
            for project, filename in self.rows(
                "SELECT p.name, f.filename FROM files f"
                " JOIN versions USING (version_id) JOIN projects p USING (project_id)"
            )
            for suffix in ("", ".metadata")
        }
        store = self.config.store
        stored = {str(path.relative_to(store)) for path in store.rglob("*") if path.is_file()}
        found += [f"{path} is recorded and not in the store" for path in recorded - stored]
        found += [f"{path} is in the store and not recorded" for path in stored - recorded]
        for folder in (self.config.intents, self.config.incoming):
            found += [f"{path} was left" for path in folder.rglob("*") if path.is_file()]
        queries = {
            "built without a build": "SELECT job_id FROM jobs WHERE state = 'built' AND NOT EXISTS"
            " (SELECT FROM builds b WHERE b.job_id = jobs.job_id AND status = 'built')",
            "build without an end": "SELECT job_id FROM builds JOIN jobs USING (job_id)"
            " WHERE state NOT IN ('built', 'failed')",
            "built without a file": "SELECT build_id FROM builds WHERE status = 'built' AND NOT"
            " EXISTS (SELECT FROM files f WHERE f.build_id = builds.build_id)",
            "file of a failed build": "SELECT build_id FROM files JOIN builds USING (build_id)"
            " WHERE status = 'failed'",
            "build without a log": "SELECT build_id FROM builds WHERE NOT EXISTS"
            " (SELECT FROM build_logs l WHERE l.build_id = builds.build_id)"
            " AND reason_code IS DISTINCT FROM 'builder-lost'",
            "built twice": "SELECT job_id FROM builds WHERE status = 'built' GROUP BY job_id"
            " HAVING count(*) > 1",
            "miscounted": "SELECT target_id, state FROM"
            " (SELECT target_id, state, count(*) FROM jobs GROUP BY target_id, state) counted"
            " FULL JOIN (SELECT target_id, state, sum(jobs) FROM job_counts"
            " GROUP BY target_id, state HAVING sum(jobs) <> 0) kept USING (target_id, state)"
            " WHERE counted.count IS DISTINCT FROM kept.sum",
        }
        for what, statement in queries.items():
            found += [f"{what}: {row}" for row in self.rows(statement)]
        for name, size, sha256, metadata in self.rows(
            "SELECT p.name || '/' || filename, size_bytes, sha256, metadata_sha256 FROM files"
            " JOIN versions USING (version_id) JOIN projects p USING (project_id)"
        ):
            data = (self.config.store / name).read_bytes()
            beside = (self.config.store / f"{name}.metadata").read_bytes()
            if (len(data), hashlib.sha256(data).hexdigest()) != (size, sha256):
                found.append(f"{name} isn't what is recorded")
            if hashlib.sha256(beside).hexdigest() != metadata:
                found.append(f"{name}.metadata isn't what is recorded")
        return found


def said(
    queued: Sequence[str] = (), running: Sequence[str] = (), done: Sequence[str] = (), **more: Any
) -> dict[str, Any]:
    """Return a builder's report."""
    return {
        "protocol": VERSION,
        "queued": list(queued),
        "running": [{"key": key, "started_at": START.isoformat()} for key in running],
        "done": list(done),
        "free_bytes": 1 << 30,
        "refuses": None,
        **more,
    }


def exchange(
    report: Any, collected: Sequence[str] | None = None, handed: Sequence[str] = ()
) -> dict[str, Any]:
    """Return a builder's report, with what the master knows beside it."""
    if collected is None:
        collected = report.get("done") or [] if isinstance(report, dict) else []
    return {"report": report, "collected": collected, "handed": handed}


def leases(farm: Farm) -> dict[str, int]:
    """Return how many jobs each builder holds."""
    return dict(
        farm.rows(
            "SELECT b.name, count(*) FROM jobs JOIN builders b USING (builder_id)"
            " WHERE state = 'leased' GROUP BY b.name"
        )
    )


def attempts(farm: Farm) -> list[tuple[str, int, int]]:
    """Return state, attempt and count of losses of each of bookworm's jobs."""
    return farm.rows(
        "SELECT state, attempt, lost_count FROM jobs JOIN targets USING (target_id)"
        " WHERE name = 'bookworm' ORDER BY job_id"
    )


def present(farm: Farm) -> list[str]:
    """Return the versions that the index has, as far as the farm believes it."""
    rows = farm.rows(
        "SELECT p.name || ' ' || version FROM versions JOIN projects p USING (project_id)"
        " WHERE present ORDER BY 1"
    )
    return [text for (text,) in rows]
