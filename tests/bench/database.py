"""Measures what the database costs with few jobs and with many; prints both, and their ratio.

    python -m tests.bench.database

Fills two databases on a PostgreSQL of its own, and asks both in turn, so that the machine's load
hits them alike. Takes some minutes and 4 GB of disk. Ends with 1 where something gets dearer.
"""

from __future__ import annotations

import gzip
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import product
from pathlib import Path

from master.database import connection as db
from master.database import migrate, notes
from master.fleet import claim
from master.jobs import reasons
from master.results.record import Recorder
from master.site import publish
from master.site.tree import PROJECT_FOLDERS
from master.status import due, read
from tests.support.cluster import ROLES, Cluster
from tests.support.farm import Farm, make_config
from tests.support.rows import START
from tests.support.wheels import BOOKWORM, TRIXIE, Forge

SIZES = (100_000, 4_000_000)
ROUNDS = 11
BUILDERS = 400
RENDERED = 100
RATIO = 1.5
TARGETS = (BOOKWORM, TRIXIE, replace(BOOKWORM, name="buster"), replace(TRIXIE, name="bullseye"))

# Ten versions a project, four targets: of ten jobs two wait, one failed, and a few were skipped.
# What has ended ended one after the other, 800 in the last hour.
FILL = """
SET session_replication_role = replica;  -- what is put together here needs no check of each key

INSERT INTO projects (name, display_name)
SELECT 'p' || n, 'P' || n FROM generate_series(1, %(jobs)s / 40) n ORDER BY n;

INSERT INTO versions (project_id, version)
SELECT n, k || '.0' FROM generate_series(1, %(jobs)s / 40) n, generate_series(1, 10) k
 ORDER BY n, k;

INSERT INTO upstream_files (version_id, filename, kind, url, sha256, size_bytes)
SELECT version_id, 'p' || project_id || '-' || version || '.tar.gz', 'sdist',
       'https://files.example/x', repeat('a', 64), 1000
  FROM versions ORDER BY version_id;

INSERT INTO builders (name, target_id)
SELECT 'pi' || n, (n - 1) %% 4 + 1 FROM generate_series(1, %(builders)s) n ORDER BY n;

INSERT INTO jobs (version_id, target_id, upstream_file_id, state, attempt, queued_at, finished_at,
                  reason_code, reason)
SELECT v, t, v, state, CASE WHEN state IN ('built', 'failed') THEN 1 ELSE 0 END, %(now)s,
       CASE WHEN state <> 'pending'
            THEN %(now)s - (%(jobs)s - (v - 1) * 4 - t) * interval '3.6 s' END,
       code, code
  FROM (SELECT v, t,
               CASE WHEN v %% 5 = 0 THEN 'pending' WHEN v %% 50 = 1 THEN 'skipped'
                    WHEN v %% 10 = 2 THEN 'failed' ELSE 'built' END AS state,
               CASE WHEN v %% 5 = 0 THEN NULL WHEN v %% 50 = 1 THEN 'not-newest'
                    WHEN v %% 10 = 2 THEN 'build-failed' END AS code
          FROM generate_series(1, %(jobs)s / 4) v, generate_series(1, 4) t) job
 ORDER BY v, t;

INSERT INTO builds (job_id, attempt, builder_id, status, reason_code, reason, started_at,
                    finished_at, duration_s, recorded_at)
SELECT job_id, 1, target_id + 4 * (version_id %% 100), state, reason_code, reason,
       finished_at - interval '1 min', finished_at, 60, finished_at
  FROM jobs WHERE attempt = 1 ORDER BY job_id;

INSERT INTO build_logs SELECT build_id, %(log)s, 4 FROM builds;

INSERT INTO files (build_id, version_id, filename, size_bytes, sha256, metadata_sha256)
SELECT build_id, version_id,
       'p' || project_id || '-' || version || '-cp3' || target_id || '-none-linux_armv7l.whl', 1,
       repeat('b', 64), repeat('c', 64)
  FROM builds JOIN jobs USING (job_id) JOIN versions USING (version_id) WHERE status = 'built';

INSERT INTO job_counts (target_id, state, jobs)
SELECT target_id, state, count(*) FROM jobs GROUP BY target_id, state;
"""

CHANGE = "UPDATE projects SET dirty_since = now() WHERE project_id <= %s"


class Bench(Farm):
    """A farm that has been at work for long."""

    facts = TARGETS

    def fill(self, jobs: int) -> None:
        """Write what that has left."""
        bound = {"jobs": jobs, "builders": BUILDERS, "now": START, "log": gzip.compress(b"log\n")}
        conn = self.cluster.connect(self.config.database.name)
        try:
            with conn.cursor() as cursor:
                cursor.execute(FILL, bound)
                conn.commit()
                conn.autocommit = True
                cursor.execute("VACUUM ANALYZE")
        finally:
            conn.close()
        for project, filename in self.rows(
            "SELECT p.name, f.filename FROM files f JOIN versions USING (version_id)"
            " JOIN projects p USING (project_id) WHERE project_id <= %s",
            RENDERED,
        ):
            path = self.config.store / project / filename
            path.parent.mkdir(exist_ok=True)
            path.touch()
            path.with_name(f"{filename}.metadata").touch()
        for (project,), folder in product(self.rows("SELECT name FROM projects"), PROJECT_FOLDERS):
            (self.config.state_dir / "site" / folder / project).mkdir(parents=True)

    def fleet(self, size: int) -> Mapping[str, str]:
        """Make the first builders those of the inventory; the others are in it no longer."""
        self.rows("UPDATE builders SET active = builder_id <= %s", size)
        names = {target.target_id: target.name for target in self.targets}
        return {f"pi{n}": names[(n - 1) % len(TARGETS) + 1] for n in range(1, size + 1)}

    @contextmanager
    def claiming(self, size: int) -> Iterator[Callable[[], object]]:
        """Yield a claim, whose leases are taken back with it."""
        fleet = self.fleet(size)
        with self.connect("queue") as conn:
            yield lambda: claim.claim(conn, self.config, self.now, fleet, check=True)

    @contextmanager
    def recording(self) -> Iterator[Callable[[], object]]:
        """Yield the recording of one wheel, checks and all."""
        self.claims(self.fleet(BUILDERS))
        leases = self.rows(
            "SELECT b.name, 'bookworm-' || job_id || '-' || attempt, p.name, v.version"
            " FROM jobs JOIN builders b USING (builder_id) JOIN versions v USING (version_id)"
            " JOIN projects p USING (project_id) WHERE jobs.target_id = 1 LIMIT %s",
            ROUNDS,
        )
        with self.connect("queue") as conn:
            recorder = Recorder.open(conn, self.config)
            for builder, key, project, version in leases:
                self.send(builder, key, Forge(project, version))
            arrived = iter(leases)

            def one() -> object:
                builder, key, *_ = next(arrived)
                recorded = recorder.record(builder, key, self.now)
                assert recorded.status == "built", recorded
                return recorded

            yield one

    @contextmanager
    def reading(self, since: timedelta | None) -> Iterator[Callable[[], object]]:
        """Yield the state of the farm, and what a run has done since then."""
        with self.connect("readonly") as conn:
            begin = None if since is None else self.now - since
            names = [target.name for target in self.targets]
            yield lambda: read.read(conn, self.config, self.now, since=begin, targets=names)

    @contextmanager
    def asking(
        self, question: Callable[..., bool], *values: object
    ) -> Iterator[Callable[[], object]]:
        """Yield what the rounds' timer asks."""
        with self.connect("queue") as conn, conn, conn.cursor() as cursor:
            notes.note(cursor, "last_round", "", self.now)
        with self.connect("readonly") as conn:
            yield lambda: question(conn, self.config, *values)

    @contextmanager
    def publishing(self, *, hourly: bool) -> Iterator[Callable[[], object]]:
        """All but the carrying where as many projects have changed."""
        with self.connect("site") as conn:

            def one() -> object:
                with conn, conn.cursor() as cursor:
                    cursor.execute(CHANGE, [RENDERED])
                    if hourly:
                        notes.note(cursor, "hourly_pages", "", self.now)
                rendered = publish.render(conn, self.config)
                assert len(rendered.projects) == RENDERED, rendered
                assert publish.read_carried(self.config).hour is None or hourly
                return publish.mark_published(conn, self.config)

            publish.render(conn, self.config)  # the pages that list names
            publish.mark_published(conn, self.config)
            one()  # the logs, which are written once
            yield one


MEASURED: Mapping[str, Callable[[Bench], AbstractContextManager[Callable[[], object]]]] = {
    "claim for 1 builder": lambda farm: farm.claiming(1),
    f"claim for {BUILDERS} builders": lambda farm: farm.claiming(BUILDERS),
    "record a wheel": Bench.recording,
    "status": lambda farm: farm.reading(None),
    "follow a run": lambda farm: farm.reading(timedelta(hours=1)),
    "is a round due": lambda farm: farm.asking(due.is_due, farm.now),
    "is the site stale": lambda farm: farm.asking(due.is_stale, farm.now),
    f"render {RENDERED} projects": lambda farm: farm.publishing(hourly=False),
    "... and what is hourly": lambda farm: farm.publishing(hourly=True),
}


def in_turn(works: list[Callable[[], object]]) -> list[float]:
    """Milliseconds that each takes, the median of some rounds."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, times in zip(works, taken, strict=True):
            start = time.perf_counter()
            work()
            times.append((time.perf_counter() - start) * 1000)
    return [statistics.median(times) for times in taken]


def farms(cluster: Cluster, folder: Path) -> Iterator[Bench]:
    """Yield a farm of each size."""
    cluster.execute(*(f"CREATE ROLE wheelyard_{role} LOGIN" for role in ROLES))
    for jobs in SIZES:
        cluster.execute(f"CREATE DATABASE farm{jobs} OWNER wheelyard_owner")
        config = make_config(cluster, f"farm{jobs}", folder / str(jobs))
        for path in (config.incoming, config.store, config.intents):
            path.mkdir(parents=True)
        with db.session(config, "owner") as conn:
            migrate.migrate(conn, config, None)
            reasons.register(conn, check=False)
        farm = Bench(cluster, config)
        farm.fill(jobs)
        yield farm


def main() -> int:
    """Measure and print; 1 where a ratio is over the limit."""
    cluster = Cluster()
    dearer = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            both = list(farms(cluster, Path(folder)))
            sys.stdout.write(f"{'ms, medians':24}{SIZES[0]:>12,}{SIZES[1]:>12,}{'ratio':>8}\n")
            for name, begin in MEASURED.items():
                with ExitStack() as stack:
                    works = [stack.enter_context(begin(farm)) for farm in both]
                    few, many = in_turn(works)
                sys.stdout.write(f"{name:24}{few:12.1f}{many:12.1f}{many / few:8.2f}\n")
                sys.stdout.flush()
                if many / few > RATIO:
                    dearer.append(name)
    finally:
        cluster.remove()
    if dearer:
        sys.stdout.write(f"more than {RATIO} times as dear with many jobs: {', '.join(dearer)}\n")
    return bool(dearer)


if __name__ == "__main__":
    sys.exit(main())
