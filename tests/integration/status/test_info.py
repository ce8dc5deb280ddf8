"""What is read of the farm, from a database in which jobs stand in every state."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from master.database import connection as db
from master.status import due, read
from master.status.model import Counts, Failure, Info, Remaining, Running, TargetResult, Waiting
from tests.support.farm import Farm, said
from tests.support.wheels import PURE


def look(farm: Farm, **chosen: Any) -> Info:
    with db.session(farm.config, "readonly") as conn:
        return read.read(conn, farm.config, farm.now, **chosen)


def test_an_empty_farm_can_be_read(farm: Farm) -> None:
    farm.rows("DELETE FROM targets")
    state = look(farm, since=farm.now)
    assert (state.targets, state.builders, state.notes) == ({}, (), {})
    assert state.run is not None
    assert (state.run.outstanding, state.run.unpublished, state.run.failures) == (0, 0, ())


def test_jobs_are_counted_by_target_and_state(farm: Farm) -> None:
    for number, state in enumerate(("pending", "pending", "built", "failed", "skipped")):
        farm.job("spidev", f"{number}", state)
    assert look(farm).targets == {
        "bookworm": Counts(pending=2, leased=0, built=1, failed=1, skipped=1),
        "trixie": Counts(),
    }
    assert set(look(farm, targets=["trixie"]).targets) == {"trixie"}


def says_it_builds(farm: Farm, builder: int, key: str, started_at: str) -> None:
    report = said() | {
        "running": [{"key": key, "project": "evil\x1b[2J", "started_at": started_at}]
    }
    farm.rows(
        "UPDATE builders SET report = %s, last_seen_at = %s WHERE builder_id = %s",
        json.dumps(report),
        farm.now,
        builder,
    )


def test_a_builder_shows_the_lease_that_it_builds(farm: Farm) -> None:
    pi1 = farm.builder("pi1")
    job = farm.job("spidev", "1", "leased", builder_id=pi1)
    farm.job("lzo", "1", "leased", builder_id=pi1)
    started = (farm.now - timedelta(seconds=20)).isoformat()
    says_it_builds(farm, pi1, f"bookworm-{job}-1", started)
    (shown,) = look(farm).builders
    assert (shown.state, shown.queued) == ("building", 1)
    assert shown.running == Running("spidev", "1", 20.0)


@pytest.mark.parametrize("started_at", ["1970-01-01T00:00:00+00:00", "2999-01-01", "soon", ""])
def test_a_builders_clock_is_not_believed(farm: Farm, started_at: str) -> None:
    pi1 = farm.builder("pi1")
    job = farm.job("spidev", "1", "leased", builder_id=pi1)
    says_it_builds(farm, pi1, f"bookworm-{job}-1", started_at)
    (shown,) = look(farm).builders
    assert shown.running is not None
    assert 0 <= shown.running.for_s <= 60


@pytest.mark.parametrize("key", ["bookworm-{job}-2", "bookworm-999999999999999999-1", "../{job}"])
def test_what_is_not_leased_to_a_builder_is_not_shown_as_built_there(farm: Farm, key: str) -> None:
    pi1 = farm.builder("pi1")
    job = farm.job("spidev", "1", "leased", builder_id=pi1)
    says_it_builds(farm, pi1, key.format(job=job), farm.now.isoformat())
    (shown,) = look(farm).builders
    assert (shown.state, shown.running, shown.queued) == ("idle", None, 1)


BROKEN = json.dumps(said() | {"running": [7]})


@pytest.mark.parametrize("report", ["[]", "null", '{"running": 7}', BROKEN, "{}"])
def test_a_report_that_makes_no_sense_does_no_harm(farm: Farm, report: str) -> None:
    farm.builder("pi1", report=report, last_seen_at=farm.now)
    assert look(farm).builders[0].state == "idle"


def test_states_of_builders(farm: Farm) -> None:
    farm.builder("new")
    farm.builder("lost", last_seen_at=farm.now, missing_since=farm.now)
    farm.builder("full", last_seen_at=farm.now, refuses="its disk is full")
    pause: dict[str, Any] = {
        "paused_at": farm.now,
        "paused_by": "operator",
        "paused_reason": "a new fan",
    }
    farm.builder("still", last_seen_at=farm.now, refuses="its disk is full", **pause)
    farm.builder("off", last_seen_at=farm.now, missing_since=farm.now, **pause)
    farm.builder("former", active=False)
    states = {builder.name: builder.state for builder in look(farm).builders}
    assert states == {
        "new": "new",
        "lost": "missing",
        "full": "refuses",
        "still": "paused",
        "off": "missing",
    }
    (still,) = look(farm, builders=["still"]).builders
    assert (still.paused_at, still.paused_reason) == (farm.now, "a new fan")


def test_a_run_is_what_ended_since_and_what_is_left(farm: Farm) -> None:
    pi1 = farm.builder("pi1")
    earlier = farm.now - timedelta(days=1)
    old = farm.job("spidev", "1", "built", finished_at=earlier)
    farm.build(old, pi1, duration_s=10.0)
    new = farm.job("spidev", "2", "built")
    farm.wheel(farm.build(new, pi1, duration_s=30.0), replace(PURE, project="spidev", version="2"))
    failed = farm.job("pycups", "1", "failed", reason="no cups")
    farm.build(failed, pi1, "no cups", duration_s=5.0)
    waiting = farm.job("spidev", "3")
    farm.job("lzo", "1")
    farm.job("lzo", "2", target="trixie")

    chosen: dict[str, Any] = {"since": farm.now - timedelta(hours=1), "targets": ["bookworm"]}
    run = look(farm, **chosen).run
    assert run is not None
    assert run.results == {"bookworm": TargetResult(1, 1, 0, 1, 35.0)}
    assert run.failures == (Failure("pycups", "1", "bookworm", "no cups"),)
    # spidev as it took before (20 s on average), lzo as builds for bookworm do (15 s).
    assert run.left == {"bookworm": Remaining(jobs=2, expected_s=35.0)}

    just_one = look(farm, **chosen, job_ids=[waiting]).run
    assert just_one is not None
    assert just_one.left == {"bookworm": Remaining(jobs=1, expected_s=20.0)}
    assert just_one.results["bookworm"] == TargetResult(0, 0, 0, 0, 0.0)


def test_what_waits_for_its_sdist_is_told_and_not_counted_as_work(farm: Farm) -> None:
    built = farm.job("spidev", "1", "built")
    farm.build(built, farm.builder("pi1"), duration_s=30.0)
    farm.job("spidev", "2")

    def waits(project: str, target: str, minutes: int, failures: int) -> int:
        return farm.job(
            project,
            "1",
            target=target,
            retry_at=farm.now + timedelta(minutes=minutes),
            retry_reason=f"{project}: 404",
            fetch_failures=failures,
        )

    later = waits("lzo", "bookworm", 9, 1)
    waits("cups", "bookworm", 5, 2)
    waits("tinyc", "trixie", 1, 1)

    def first(jobs: int, project: str, minutes: int, tries: int) -> Waiting:
        retry_at = farm.now + timedelta(minutes=minutes)
        return Waiting(jobs, project, "1", retry_at, tries, f"{project}: 404")

    assert look(farm).waiting == {
        "bookworm": first(2, "cups", 5, 3),
        "trixie": first(1, "tinyc", 1, 2),
    }
    one = look(farm, since=farm.now, targets=["bookworm"], job_ids=[later])
    assert one.waiting == {"bookworm": first(1, "lzo", 9, 2)}
    assert one.run is not None
    assert one.run.left == {"bookworm": Remaining(jobs=1, expected_s=None, waiting=1)}
    every = look(farm, since=farm.now, targets=["bookworm"]).run
    assert every is not None
    assert every.left == {"bookworm": Remaining(jobs=3, expected_s=30.0, waiting=2)}


def test_a_run_is_unpublished_while_its_projects_are_dirty(farm: Farm) -> None:
    farm.job("spidev", "1", "built")
    farm.version("lzo", "1")
    farm.rows("UPDATE projects SET dirty_since = now()")
    run = look(farm, since=farm.now - timedelta(hours=1)).run
    assert run is not None
    assert run.unpublished == 1


def test_what_the_site_doesnt_show_is_named_and_no_more_than_ten_of_it(farm: Farm) -> None:
    assert look(farm).stale == ()
    names = [f"p{number}" for number in range(11)]
    for name in names:
        farm.version(name, "1")
    farm.rows("UPDATE projects SET dirty_since = now() WHERE name = 'p9'")
    removed = farm.config.state_dir / "publish" / due.REMOVED
    removed.parent.mkdir(parents=True)
    removed.write_text("simple/gone/index.html\nsimple/gone\n")
    assert look(farm).stale == ("p9", "simple/gone/index.html", "simple/gone")
    farm.rows("UPDATE projects SET dirty_since = now() - project_id * interval '1 min'")
    assert look(farm).stale == tuple(reversed(names[1:]))


def test_nothing_can_be_written(farm: Farm) -> None:
    with db.session(farm.config, "readonly") as conn:
        read.read(conn, farm.config, farm.now)
        with pytest.raises(Exception, match="read-only"), conn.cursor() as cursor:
            cursor.execute("UPDATE targets SET active = false")
