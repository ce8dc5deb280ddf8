"""The schema makes wrong states impossible, whoever writes."""

from __future__ import annotations

import psycopg2
import psycopg2.errors
import pytest

from master.config import Config
from master.database import connection as db
from master.database import migrate
from tests.support.farm import Farm, upstream

WRONG = {
    "a project's name that isn't normalised": "UPDATE projects SET name = 'De.mo'",
    "a version that isn't normalised": "UPDATE versions SET version = '1.0-beta'",
    "a file in a folder": "UPDATE upstream_files SET filename = '../x'",
    "a hidden file": "UPDATE upstream_files SET filename = '.x'",
    "a hash that is none": "UPDATE upstream_files SET sha256 = 'abc'",
    "a state that there is not": "UPDATE jobs SET state = 'new'",
    "a lease of nobody's": "UPDATE jobs SET state = 'leased', leased_at = now(), attempt = 1",
    "a lease that isn't an attempt": """
        UPDATE jobs SET state = 'leased', leased_at = now(),
        builder_id = (SELECT builder_id FROM builders WHERE name = 'pi1')""",
    "a lease to a builder of another target": """
        UPDATE jobs SET state = 'leased', leased_at = now(), attempt = 1,
        builder_id = (SELECT builder_id FROM builders WHERE name = 'pi3')""",
    "a builder's pending job": """
        UPDATE jobs SET builder_id = (SELECT builder_id FROM builders WHERE name = 'pi1')""",
    "a pending job that is handed over": "UPDATE jobs SET handed_at = now()",
    "a built job without an end": "UPDATE jobs SET state = 'built'",
    "a failure without a reason": "UPDATE jobs SET state = 'failed', finished_at = now()",
    "a reason without a code": """
        UPDATE jobs SET state = 'failed', finished_at = now(), reason = 'why'""",
    "a code that there is not": """
        UPDATE jobs SET state = 'failed', finished_at = now(), reason = 'why',
        reason_code = 'because'""",
    "a job that is covered by nothing": """
        UPDATE jobs SET state = 'skipped', finished_at = now(), reason = 'why',
        reason_code = 'covered'""",
    "a job that is covered by a wheel that there is not": """
        UPDATE jobs SET state = 'skipped', finished_at = now(), reason = 'why',
        reason_code = 'covered', covered_by = 'x-1-py3-none-any.whl'""",
    "a job that was lost four times": "UPDATE jobs SET lost_count = 4",
    "two jobs of one version and target": """
        INSERT INTO jobs (version_id, target_id, upstream_file_id)
        SELECT version_id, target_id, upstream_file_id FROM jobs""",
    "a job without a file": "UPDATE jobs SET upstream_file_id = 0",
    "a pause without a reason": "UPDATE builders SET paused_at = now(), paused_by = 'operator'",
    "a reason of no pause": "UPDATE builders SET paused_reason = 'why'",
    "a paused builder that has left": """
        UPDATE builders SET active = false, paused_at = now(), paused_by = 'upgrade',
        paused_reason = 'why'""",
    "a build that succeeds for a reason": """
        INSERT INTO builds (job_id, attempt, builder_id, status, reason, reason_code, finished_at)
        SELECT job_id, 1, builders.builder_id, 'built', 'because', 'build-failed', now()
        FROM jobs, builders LIMIT 1""",
}


@pytest.mark.parametrize("statement", WRONG.values(), ids=WRONG.keys())
def test_there_is_no(farm: Farm, statement: str) -> None:
    farm.sync(upstream("demo", "1.0"))
    farm.rows("DELETE FROM jobs WHERE target_id = 2")
    farm.claim({"pi1": "bookworm", "pi3": "trixie"})
    farm.rows("UPDATE jobs SET state = 'pending', builder_id = NULL, leased_at = NULL, attempt = 0")
    with pytest.raises(psycopg2.IntegrityError):
        farm.rows(statement)


def test_one_attempt_is_one_build_and_one_name_is_one_file(farm: Farm) -> None:
    farm.sync(upstream("demo", "1.0"))
    farm.claim({"pi1": "bookworm"})
    build = """
        INSERT INTO builds (job_id, attempt, builder_id, status, finished_at)
        SELECT job_id, 1, builder_id, 'built', now() FROM jobs JOIN builders USING (builder_id)
        RETURNING build_id"""
    build_id = farm.value(build)
    with pytest.raises(psycopg2.errors.UniqueViolation):
        farm.rows(build)
    file = """
        INSERT INTO files (build_id, version_id, filename, size_bytes, sha256, metadata_sha256)
        SELECT %s, version_id, 'demo-1.0-py3-none-any.whl', 1, repeat('0', 64), repeat('0', 64)
        FROM versions"""
    farm.rows(file, build_id)
    with pytest.raises(psycopg2.errors.UniqueViolation):
        farm.rows(file, build_id)


FORBIDDEN = [
    ("sync", "UPDATE jobs SET builder_id = NULL"),
    ("sync", "INSERT INTO builds DEFAULT VALUES"),
    ("sync", "UPDATE builders SET refuses = NULL"),
    ("site", "UPDATE builders SET paused_at = NULL"),
    ("sync", "DELETE FROM projects"),
    ("queue", "INSERT INTO projects DEFAULT VALUES"),
    ("queue", "UPDATE projects SET name = 'x'"),
    ("queue", "UPDATE upstream_files SET sha256 = NULL"),
    ("queue", "UPDATE builds SET status = 'built'"),
    ("queue", "UPDATE files SET sha256 = NULL"),
    ("queue", "DELETE FROM files"),
    ("queue", "DELETE FROM jobs"),
    ("queue", "UPDATE job_counts SET jobs = 0"),
    ("queue", "SELECT add_to_job_counts(1, 'pending', 1)"),
    ("queue", "DELETE FROM ended_leases"),
    ("sync", "INSERT INTO reasons VALUES ('x', 'x')"),
    ("site", "UPDATE jobs SET priority = 1"),
    ("site", "UPDATE projects SET display_name = 'x'"),
    ("site", "INSERT INTO files DEFAULT VALUES"),
    ("readonly", "UPDATE projects SET dirty_since = now()"),
    ("readonly", "UPDATE sync_state SET value = ''"),
    ("readonly", "CREATE TABLE mine ()"),
    ("queue", "CREATE TABLE mine ()"),
]


@pytest.mark.parametrize(("role", "statement"), FORBIDDEN)
def test_a_role_may_do_only_its_own_work(farm: Farm, role: db.Role, statement: str) -> None:
    with (
        farm.connect(role) as conn,
        conn.cursor() as cursor,
        pytest.raises(psycopg2.errors.InsufficientPrivilege),
    ):
        cursor.execute(statement)


def test_a_second_migration_does_nothing(farm: Farm, config: Config) -> None:
    with farm.connect("owner") as conn:
        assert migrate.pending(conn) == []
        assert migrate.migrate(conn, config, None) == []


def test_a_migration_that_was_killed_blocks_no_other(farm: Farm, config: Config) -> None:
    # What yoyo leaves when it is killed: its lock, and a migration that isn't marked as done.
    farm.rows("CREATE TABLE IF NOT EXISTS yoyo_lock (locked int, ctime timestamp, pid int)")
    farm.rows("INSERT INTO yoyo_lock VALUES (1, now(), 1)")
    farm.rows("DELETE FROM _yoyo_migration WHERE migration_id = '0004-grants'")
    with farm.connect("owner") as conn:
        assert migrate.pending(conn) == ["0004-grants"]
        assert migrate.migrate(conn, config, None) == ["0004-grants"]
        assert migrate.pending(conn) == []


def test_two_migrations_wait_for_each_other(farm: Farm) -> None:
    with farm.connect("owner") as first, farm.connect("owner") as second:
        db.lock(first, db.Lock.MIGRATION)
        with second.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
        second.commit()
        with pytest.raises(db.BusyError, match="another migration has been under way"):
            db.lock(second, db.Lock.MIGRATION)


def _counted(farm: Farm) -> dict[str, int]:
    return dict(farm.rows("SELECT state, sum(jobs)::int FROM job_counts GROUP BY state"))


def test_whoever_writes_jobs_they_stay_counted(farm: Farm) -> None:
    farm.sync(upstream("demo", "1.0", "2.0", "3.0"))
    farm.claim({"pi1": "bookworm"})
    assert _counted(farm) == {"pending": 3, "leased": 3}
    farm.rows("DELETE FROM jobs WHERE state = 'leased'")
    farm.rows("UPDATE jobs SET priority = 1")
    assert _counted(farm) == {"pending": 3, "leased": 0}
    farm.rows("TRUNCATE jobs CASCADE")
    assert _counted(farm) == {}


def test_no_writer_waits_for_another_to_count_its_jobs(farm: Farm) -> None:
    farm.sync(upstream("demo", *(f"{n}.0" for n in range(1, 9))))
    change = "UPDATE jobs SET state = 'built', finished_at = now() WHERE job_id = %s"
    with farm.connect("queue") as first, farm.connect("queue") as second:
        for conn in (first, second):
            conn.cursor().execute("SET lock_timeout = '100ms'")
        # In turn, and each in the order in which the other one would be waiting for it.
        for conn, job_id in ((first, 1), (second, 2), (first, 3), (second, 4)):
            conn.cursor().execute(change, (job_id,))
        assert _counted(farm) == {"pending": 16}
        first.commit()
        second.rollback()
    assert _counted(farm) == {"pending": 14, "built": 2}
