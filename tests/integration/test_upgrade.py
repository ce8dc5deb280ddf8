"""A farm that was provisioned before is brought to the schema of today, in place and whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from master.config import Config
from master.database import connection as db
from master.database import migrate
from master.jobs import reasons
from tests.support.cluster import Cluster
from tests.support.rows import Rows

OLD = ("0001", "0002", "0003", "0004", "0005")
"""The migrations of the farm before."""
WHEEL = "demo-1.0-py3-none-any.whl"
SKIPPED = {
    "gone from the index": "gone",
    "yanked upstream": "yanked",
    "no sdist with a sha256 on the index": "no-sdist",
    "the farm doesn't follow its project": "not-followed",
    "not among the newest versions that the farm builds": "not-newest",
    "needs another Python": "other-python",
    "skip rule: too large": "skip-rule",
    f"covered by {WHEEL}": "covered",
    "because I say so": "by-hand",
}
FAILED = {
    "fatal error: a.h: No such file or directory": "build-failed",
    "builder-lost: 3 times, the last one was pi1 (didn't take it)": "builder-lost",
    "wheel refused: it is other 1.0, and the job is demo 1.0": "wheel-refused",
    "result refused: result.json isn't as agreed: it's too long": "result-refused",
    "the sdist can't be fetched: https://files.example/x: unreachable": "sdist-unavailable",
}
ROWS = """
INSERT INTO projects (name, display_name) VALUES ('demo', 'demo');
INSERT INTO targets (name, python_version, interpreter_tag, abi_tag, platform_tag)
VALUES ('bookworm', '3.11', 'cp311', 'cp311', 'linux_armv7l');
INSERT INTO builders (name, target_id) SELECT 'pi1', target_id FROM targets;
INSERT INTO versions (project_id, version)
SELECT project_id, n || '.0' FROM projects, generate_series(1, 20) n;
INSERT INTO upstream_files (version_id, filename, kind, url, sha256)
SELECT version_id, 'demo-' || version || '.tar.gz', 'sdist', 'https://files.example/x',
       repeat('a', 64) FROM versions;
INSERT INTO jobs (version_id, target_id, upstream_file_id)
SELECT version_id, target_id, upstream_file_id FROM upstream_files, targets;
"""


@pytest.fixture
def before(
    cluster: Cluster, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rows]:
    """Yield a database as the schema was before, with a job of each kind."""
    name = config.database.name
    cluster.execute(
        f"DROP DATABASE {name} WITH (FORCE)", f"CREATE DATABASE {name} OWNER wheelyard_owner"
    )
    (tmp_path / "schema").mkdir()
    for path in migrate.SCHEMA.glob("*.sql"):
        if path.name.startswith(OLD):
            shutil.copy(path, tmp_path / "schema")
    with monkeypatch.context() as patch, db.session(config, "owner") as conn:
        patch.setattr(migrate, "SCHEMA", tmp_path / "schema")
        assert len(migrate.migrate(conn, config, None)) == len(OLD)
    farm = Rows(cluster, config)
    run = farm.rows
    run(ROWS)
    build = (
        "INSERT INTO builds (job_id, attempt, builder_id, status, reason, finished_at)"
        " SELECT %s, 1, builder_id, %s, %s, now() FROM builders RETURNING build_id"
    )
    end = (
        "UPDATE jobs SET state = %s, reason = %s, finished_at = now(), attempt = 1"
        " WHERE job_id = %s"
    )
    ids = iter(range(1, 21))
    job = next(ids)
    run(end, "built", None, job)
    ((build_id,),) = run(build, job, "built", None)
    run(
        "INSERT INTO files (build_id, version_id, filename, size_bytes, sha256, metadata_sha256)"
        " SELECT %s, version_id, %s, 1, repeat('b', 64), repeat('c', 64) FROM jobs"
        " WHERE job_id = %s",
        build_id,
        WHEEL,
        job,
    )
    for words in SKIPPED:
        run(end, "skipped", words, next(ids))
    for words in FAILED:
        job = next(ids)
        run(end, "failed", words, job)
        run(build, job, "failed", words)
    run(
        "UPDATE jobs SET state = 'leased', attempt = 1, leased_at = now(), handed_at = now(),"
        " builder_id = (SELECT builder_id FROM builders) WHERE job_id = %s",
        next(ids),
    )
    yield farm
    farm.disconnect()


def test_an_upgrade_gives_what_has_ended_its_code_and_counts_what_there_is(
    before: Rows,
) -> None:
    with db.session(before.config, "owner") as conn:
        migrate.migrate(conn, before.config, None)
        assert reasons.register(conn, check=True) == sorted(reasons.WORDS)
        reasons.register(conn, check=False)
        assert reasons.register(conn, check=False) == []
    run = before.rows
    jobs = run("SELECT state, reason, reason_code, covered_by FROM jobs WHERE reason IS NOT NULL")
    covered = f"covered by {WHEEL}"
    assert sorted(jobs, key=str) == sorted(
        [
            *(("skipped", *one, WHEEL if one[0] == covered else None) for one in SKIPPED.items()),
            *(("failed", *one, None) for one in FAILED.items()),
        ],
        key=str,
    )
    builds = run("SELECT reason, reason_code FROM builds WHERE reason IS NOT NULL")
    assert dict(builds) == FAILED
    counts = run("SELECT state, sum(jobs)::int FROM job_counts GROUP BY state")
    assert dict(counts) == {"pending": 4, "leased": 1, "built": 1, "skipped": 9, "failed": 5}
    assert run("SELECT words FROM reasons WHERE code = 'gone'") == [("gone from the index",)]
