"""What is read of the farm, from a database in which jobs stand in every state."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from master.database import connection as db
from master.status import due, read
from master.status.model import Counts, Failure, Remaining, Running, TargetResult, Waiting
from tests.support.farm import said
from tests.support.status import NOW, SHA256, StatusFarm, leased


def test_an_empty_farm_can_be_read(farm: StatusFarm) -> None:
    state = farm.read(since=NOW)
    assert (state.targets, state.builders, state.notes) == ({}, (), {})
    assert state.run is not None
    assert (state.run.outstanding, state.run.unpublished, state.run.failures) == (0, 0, ())


def test_jobs_are_counted_by_target_and_state(farm: StatusFarm) -> None:
    bookworm, _ = farm.target("bookworm"), farm.target("trixie")
    for number, state in enumerate(("pending", "pending", "built", "failed", "skipped")):
        farm.job(farm.version("spidev", f"{number}"), bookworm, state, attempt=1)
    assert farm.read().targets == {
        "bookworm": Counts(pending=2, leased=0, built=1, failed=1, skipped=1),
        "trixie": Counts(),
    }
    assert set(farm.read(targets=["trixie"]).targets) == {"trixie"}


def says_it_builds(farm: StatusFarm, builder: int, key: str, started_at: str) -> None:
    report = said() | {
        "running": [{"key": key, "project": "evil\x1b[2J", "started_at": started_at}]
    }
    farm.one(
        "UPDATE builders SET report = %s, last_seen_at = %s WHERE builder_id = %s RETURNING 1",
        json.dumps(report),
        NOW,
        builder,
    )


def test_a_builder_shows_the_lease_that_it_builds(farm: StatusFarm) -> None:
    target = farm.target("bookworm")
    pi1 = farm.builder("pi1", target)
    job = leased(farm, target, pi1, "spidev")
    leased(farm, target, pi1, "lzo")
    started = (NOW - timedelta(seconds=20)).isoformat()
    says_it_builds(farm, pi1, f"bookworm-{job}-1", started)
    (shown,) = farm.read().builders
    assert (shown.state, shown.queued) == ("building", 1)
    assert shown.running == Running("spidev", "1", 20.0)


@pytest.mark.parametrize("started_at", ["1970-01-01T00:00:00+00:00", "2999-01-01", "soon", ""])
def test_a_builders_clock_is_not_believed(farm: StatusFarm, started_at: str) -> None:
    target = farm.target("bookworm")
    pi1 = farm.builder("pi1", target)
    job = leased(farm, target, pi1, "spidev")
    says_it_builds(farm, pi1, f"bookworm-{job}-1", started_at)
    (shown,) = farm.read().builders
    assert shown.running is not None
    assert 0 <= shown.running.for_s <= 60


@pytest.mark.parametrize("key", ["bookworm-{job}-2", "bookworm-999999999999999999-1", "../{job}"])
def test_what_is_not_leased_to_a_builder_is_not_shown_as_built_there(
    farm: StatusFarm, key: str
) -> None:
    target = farm.target("bookworm")
    pi1 = farm.builder("pi1", target)
    job = leased(farm, target, pi1, "spidev")
    says_it_builds(farm, pi1, key.format(job=job), NOW.isoformat())
    (shown,) = farm.read().builders
    assert (shown.state, shown.running, shown.queued) == ("idle", None, 1)


BROKEN = json.dumps(said() | {"running": [7]})


@pytest.mark.parametrize("report", ["[]", "null", '{"running": 7}', BROKEN, "{}"])
def test_a_report_that_makes_no_sense_does_no_harm(farm: StatusFarm, report: str) -> None:
    farm.builder("pi1", farm.target("bookworm"), report=report, last_seen_at=NOW)
    assert farm.read().builders[0].state == "idle"


def test_states_of_builders(farm: StatusFarm) -> None:
    target = farm.target("bookworm")
    farm.builder("new", target)
    farm.builder("lost", target, last_seen_at=NOW, missing_since=NOW)
    farm.builder("full", target, last_seen_at=NOW, refuses="its disk is full")
    farm.builder("former", target, active=False)
    states = {builder.name: builder.state for builder in farm.read().builders}
    assert states == {"new": "new", "lost": "missing", "full": "refuses"}


def test_a_run_is_what_ended_since_and_what_is_left(farm: StatusFarm) -> None:
    bookworm, trixie = farm.target("bookworm"), farm.target("trixie")
    pi1 = farm.builder("pi1", bookworm)
    earlier = NOW - timedelta(days=1)
    old = farm.job(farm.version("spidev", "1"), bookworm, "built", attempt=1, finished_at=earlier)
    farm.build(old, pi1, 10.0)
    new = farm.job(farm.version("spidev", "2"), bookworm, "built", attempt=1)
    build = farm.build(new, pi1, 30.0)
    farm.one(
        "INSERT INTO files (build_id, version_id, filename, size_bytes, sha256, metadata_sha256)"
        " SELECT %s, version_id, 'spidev-2-py3-none-any.whl', 1, %s, %s FROM jobs"
        " WHERE job_id = %s RETURNING 1",
        build,
        SHA256,
        SHA256,
        new,
    )
    failed = farm.job(farm.version("pycups", "1"), bookworm, "failed", attempt=1, reason="no cups")
    farm.build(failed, pi1, 5.0, "no cups")
    waiting = farm.job(farm.version("spidev", "3"), bookworm)
    farm.job(farm.version("lzo", "1"), bookworm)
    farm.job(farm.version("lzo", "2"), trixie)

    chosen: dict[str, Any] = {"since": NOW - timedelta(hours=1), "targets": ["bookworm"]}
    run = farm.read(**chosen).run
    assert run is not None
    assert run.results == {"bookworm": TargetResult(1, 1, 0, 1, 35.0)}
    assert run.failures == (Failure("pycups", "1", "bookworm", "no cups"),)
    # spidev as it took before (20 s on average), lzo as builds for bookworm do (15 s).
    assert run.left == {"bookworm": Remaining(jobs=2, expected_s=35.0)}

    just_one = farm.read(**chosen, job_ids=[waiting]).run
    assert just_one is not None
    assert just_one.left == {"bookworm": Remaining(jobs=1, expected_s=20.0)}
    assert just_one.results["bookworm"] == TargetResult(0, 0, 0, 0, 0.0)


def test_what_waits_for_its_sdist_is_told_and_not_counted_as_work(farm: StatusFarm) -> None:
    bookworm, trixie = farm.target("bookworm"), farm.target("trixie")
    built = farm.job(farm.version("spidev", "1"), bookworm, "built", attempt=1)
    farm.build(built, farm.builder("pi1", bookworm), 30.0)
    farm.job(farm.version("spidev", "2"), bookworm)

    def waits(project: str, target: int, minutes: int, failures: int) -> int:
        return farm.job(
            farm.version(project, "1"),
            target,
            retry_at=NOW + timedelta(minutes=minutes),
            retry_reason=f"{project}: 404",
            fetch_failures=failures,
        )

    later = waits("lzo", bookworm, 9, 1)
    waits("cups", bookworm, 5, 2)
    waits("tinyc", trixie, 1, 1)

    def first(jobs: int, project: str, minutes: int, tries: int) -> Waiting:
        retry_at = NOW + timedelta(minutes=minutes)
        return Waiting(jobs, project, "1", retry_at, tries, f"{project}: 404")

    assert farm.read().waiting == {
        "bookworm": first(2, "cups", 5, 3),
        "trixie": first(1, "tinyc", 1, 2),
    }
    one = farm.read(since=NOW, targets=["bookworm"], job_ids=[later])
    assert one.waiting == {"bookworm": first(1, "lzo", 9, 2)}
    assert one.run is not None
    assert one.run.left == {"bookworm": Remaining(jobs=1, expected_s=None, waiting=1)}
    every = farm.read(since=NOW, targets=["bookworm"]).run
    assert every is not None
    assert every.left == {"bookworm": Remaining(jobs=3, expected_s=30.0, waiting=2)}


def test_a_run_is_unpublished_while_its_projects_are_dirty(farm: StatusFarm) -> None:
    target = farm.target("bookworm")
    farm.job(farm.version("spidev", "1"), target, "built", attempt=1)
    farm.version("lzo", "1")
    farm.one("UPDATE projects SET dirty_since = now() RETURNING 1")
    run = farm.read(since=NOW - timedelta(hours=1)).run
    assert run is not None
    assert run.unpublished == 1


def test_what_the_site_doesnt_show_is_named_and_no_more_than_ten_of_it(farm: StatusFarm) -> None:
    assert farm.read().stale == ()
    names = [f"p{number}" for number in range(11)]
    for name in names:
        farm.version(name, "1")
    farm.one("UPDATE projects SET dirty_since = now() WHERE name = 'p9' RETURNING 1")
    removed = farm.config.state_dir / "publish" / due.REMOVED
    removed.parent.mkdir(parents=True)
    removed.write_text("simple/gone/index.html\nsimple/gone\n")
    assert farm.read().stale == ("p9", "simple/gone/index.html", "simple/gone")
    farm.one("UPDATE projects SET dirty_since = now() - project_id * interval '1 min' RETURNING 1")
    assert farm.read().stale == tuple(reversed(names[1:]))


def test_nothing_can_be_written(farm: StatusFarm) -> None:
    farm.target("bookworm")
    with db.session(farm.config, "readonly") as conn:
        read.read(conn, farm.config, NOW)
        with pytest.raises(Exception, match="read-only"), conn.cursor() as cursor:
            cursor.execute("UPDATE targets SET active = false")
