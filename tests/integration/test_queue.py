"""Who is given which job, and what becomes of a job whose builder has it no longer."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from master.database import connection as db
from master.fleet import claim
from master.fleet.leases import Ended
from protocol import VERSION
from tests.support.farm import Farm, exchange, said, upstream

TWO = {"pi1": "bookworm", "pi2": "bookworm"}


@pytest.fixture
def nine(farm: Farm) -> Farm:
    """A farm with nine jobs for each target."""
    farm.sync(upstream("demo", *(f"1.{n}" for n in range(9))))
    return farm


def leases(farm: Farm) -> dict[str, int]:
    return dict(
        farm.rows(
            "SELECT b.name, count(*) FROM jobs JOIN builders b USING (builder_id)"
            " WHERE state = 'leased' GROUP BY b.name"
        )
    )


def attempts(farm: Farm) -> list[tuple[str, int, int]]:
    return farm.rows(
        "SELECT state, attempt, lost_count FROM jobs JOIN targets USING (target_id)"
        " WHERE name = 'bookworm' ORDER BY job_id"
    )


# Claims


def test_a_new_builder_gets_work_in_the_next_claim(nine: Farm) -> None:
    handouts = nine.claim({"pi1": "bookworm"})
    jobs = handouts["pi1"].jobs
    assert len(jobs) == 3
    assert jobs[0] == {
        "protocol": VERSION,
        "key": handouts["pi1"].leased[0],
        "project": "demo",
        "version": "1.8",
        "target": "bookworm",
        "priority": 0,
        "sdist": {
            "filename": "demo-1.8.tar.gz",
            "url": "https://files.example/demo-1.8.tar.gz",
            "sha256": jobs[0]["sdist"]["sha256"],
            "size_bytes": 1000,
        },
    }
    assert handouts["pi1"].revoke == []
    nine.claim({"pi1": "bookworm", "pi2": "bookworm", "pi3": "trixie"})
    assert leases(nine) == {"pi1": 3, "pi2": 3, "pi3": 3}


def test_a_second_claim_leases_nothing_more(nine: Farm) -> None:
    first = nine.claim(TWO)
    assert nine.claim(TWO) == first
    assert nine.claims(TWO).leased == 0


def test_few_jobs_are_spread_widely(farm: Farm) -> None:
    farm.sync(upstream("demo", "1.0", "1.1", "1.2"))
    farm.claim({**TWO, "pi3": "bookworm"})
    assert leases(farm) == {"pi1": 1, "pi2": 1, "pi3": 1}


def test_a_builder_of_an_unknown_target_is_named_and_the_others_go_on(nine: Farm) -> None:
    claims = nine.claims({"pi1": "jessie", "pi2": "bookworm"})
    assert (claims.left_out or "").startswith("pi1 would build for jessie, which the farm doesn't")
    assert leases(nine) == {"pi2": 3}
    assert nine.claims(TWO).left_out is None


def test_what_was_asked_for_by_name_doesnt_wait_for_a_full_spool(nine: Farm) -> None:
    nine.claim(TWO)
    nine.rows("UPDATE jobs SET priority = 100 WHERE job_id IN (8, 9)")
    first = nine.claim(TWO)
    assert leases(nine) == {"pi1": 4, "pi2": 4}
    for handout in first.values():
        assert handout.jobs[0]["priority"] == 100
    # One more than the depth, and no more.
    nine.rows("UPDATE jobs SET priority = 100 WHERE state = 'pending'")
    assert nine.claims(TWO).leased == 0


def test_what_was_asked_for_by_name_is_brought_forward_in_a_spool(nine: Farm) -> None:
    first, second, third = nine.keys("pi1", {"pi1": "bookworm"})
    nine.gather(pi1=said(running=[first], queued=[second, third]))
    nine.rows("UPDATE jobs SET priority = 100 WHERE job_id = %s", int(third.split("-")[1]))
    assert nine.claim()["pi1"].revoke == [third]
    nine.gather(pi1=said(running=[first], queued=[second]))
    handout = nine.claim()["pi1"]
    anew = third.removesuffix("-1") + "-2"
    assert (handout.jobs[0]["key"], handout.jobs[0]["priority"]) == (anew, 100)
    # It is in front of what isn't named now, and so are others that are.
    nine.gather(pi1=said(running=[first], queued=[anew, second]))
    nine.rows("UPDATE jobs SET priority = 100 WHERE job_id = %s", int(second.split("-")[1]))
    assert nine.claim()["pi1"].revoke == []
    assert {count for _, _, count in attempts(nine)} == {0}


def test_a_builder_that_leaves_the_inventory_gives_its_jobs_back(nine: Farm) -> None:
    nine.claim(TWO)
    nine.claim({"pi2": "bookworm"})
    assert leases(nine) == {"pi2": 3}
    assert "pi1" not in nine.claim({"pi2": "bookworm"})
    nine.claim(TWO)
    assert leases(nine) == {"pi1": 3, "pi2": 3}
    assert {count for _, _, count in attempts(nine)} == {0}


def test_a_builder_that_moves_to_another_release_gets_that_ones_jobs(nine: Farm) -> None:
    nine.claim({"pi1": "bookworm"})
    keys = nine.keys("pi1", {"pi1": "trixie"})
    assert len(keys) == 3
    assert all(key.startswith("trixie-") for key in keys)
    assert set(nine.states("bookworm").values()) == {"pending"}


def test_a_builder_that_refuses_is_talked_to_and_gets_nothing(nine: Farm) -> None:
    nine.claim(TWO)
    nine.gather(pi1=said(refuses="no room on its card"))
    handouts = nine.claim(TWO)
    assert not handouts["pi1"].jobs
    assert not handouts["pi1"].leased
    assert leases(nine) == {"pi2": 3}
    nine.gather(pi1=said())
    assert len(nine.claim(TWO)["pi1"].jobs) == 3


def test_a_builder_that_refuses_gives_back_what_it_has_not_begun(farm: Farm) -> None:
    farm.sync(upstream("demo", "1.0", "1.1"))
    running, waiting = farm.keys("pi1", {"pi1": "bookworm"})
    refuses = said(queued=[waiting], running=[running], refuses="no room on its card")
    farm.gather(pi1=refuses)
    # While there is nobody else, it may as well keep it.
    assert farm.claim({"pi1": "bookworm"})["pi1"].revoke == []
    handout = farm.claim(TWO)["pi1"]
    assert (handout.leased, handout.revoke) == ([running], [waiting])
    farm.gather(pi1=said(running=[running], refuses="no room on its card"), pi2=said())
    (moved,) = farm.claim(TWO)["pi2"].jobs
    assert moved["key"] == waiting.removesuffix("-1") + "-2"


def test_a_full_disk_of_the_master_stops_claims_and_says_so(nine: Farm) -> None:
    nine.config = replace(nine.config, min_free_bytes=1 << 60)
    claims = nine.claims(TWO)
    assert claims.leased == 0
    assert "MiB left" in (claims.paused or "")
    assert str(nine.config.state_dir) in (claims.paused or "")
    # They are talked to all the same: none must seem lost.
    assert [handout.builder for handout in claims.handouts] == ["pi1", "pi2"]
    note = "SELECT value FROM sync_state WHERE key = 'claims_paused'"
    assert nine.value(note) == claims.paused
    nine.config = replace(nine.config, min_free_bytes=1)
    assert nine.claims(TWO).leased == 6
    assert nine.value(note) == ""


def test_many_claims_at_once_lease_each_job_once_and_fill_no_spool_twice(farm: Farm) -> None:
    farm.sync(upstream("demo", *(f"1.{n}" for n in range(40))))
    fleet = {f"pi{n}": "bookworm" for n in range(10)}
    errors: list[BaseException] = []

    def claim() -> None:
        try:
            farm.claim(fleet)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            errors.append(error)

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert leases(farm) == dict.fromkeys(fleet, 3)
    assert Counter(attempt for _, attempt, _ in attempts(farm)) == {1: 30, 0: 10}


def test_jobs_move_from_a_busy_builder_to_an_idle_one(farm: Farm) -> None:
    farm.sync(upstream("demo", "1.0", "1.1", "1.2"))
    running, first, last = farm.keys("pi1", {"pi1": "bookworm"})
    report = said(queued=[first, last], running=[running])
    farm.gather(pi1=report)
    handouts = farm.claim(TWO)
    # The last one is asked back, and it isn't given to anyone before it is.
    assert handouts["pi1"].revoke == [last]
    assert handouts["pi1"].leased == [running, first]
    assert handouts["pi2"].jobs == []
    # One at a time: nothing more is asked back for the same idle builder.
    assert farm.claim(TWO)["pi1"].revoke == [last]
    farm.gather(pi1=said(queued=[first], running=[running]), pi2=said())
    (moved,) = farm.claim(TWO)["pi2"].jobs
    assert moved["key"] == last.removesuffix("-1") + "-2"
    assert {count for _, _, count in attempts(farm)} == {0}


def test_a_job_that_was_begun_before_it_was_asked_back_stays(farm: Farm) -> None:
    farm.sync(upstream("demo", "1.0", "1.1"))
    first, second = farm.keys("pi1", {"pi1": "bookworm"})
    farm.gather(pi1=said(queued=[first, second]))
    assert farm.claim(TWO)["pi1"].revoke == [second]
    farm.gather(pi1=said(running=[second], queued=[first]), pi2=said())
    # It stays, and the other one goes.
    handout = farm.claim(TWO)["pi1"]
    assert (handout.leased, handout.revoke) == ([second], [first])


def test_a_builders_only_job_is_left_to_it(farm: Farm) -> None:
    farm.sync(upstream("demo", "1.0"))
    (key,) = farm.keys("pi1", {"pi1": "bookworm"})
    farm.gather(pi1=said(queued=[key]))
    assert farm.claim(TWO)["pi1"].revoke == []


# What waits for its sdist


@pytest.fixture
def waiting(farm: Farm) -> str:
    """The key that a job had which waits half a minute for its sdist."""
    farm.sync(upstream("demo", "1.0"))
    (key,) = farm.keys("pi1", {"pi1": "bookworm"})
    farm.send("pi1", key, fetch="network")
    farm.gather(pi1=said(done=[key]))
    return key


def test_a_job_that_waits_is_leased_when_its_time_has_come(farm: Farm, waiting: str) -> None:
    farm.later(seconds=29)
    assert farm.keys("pi1") == []
    farm.later(seconds=1)
    assert farm.keys("pi1", TWO) == [waiting.removesuffix("-1") + "-2"]
    assert attempts(farm) == [("leased", 2, 0)]


def test_a_job_doesnt_wait_for_a_time_that_a_clock_ahead_gave(farm: Farm, waiting: str) -> None:
    # The longest wait is an hour.
    farm.later(minutes=-59)
    assert farm.keys("pi1") == []
    farm.later(minutes=-1)
    assert len(farm.keys("pi1")) == 1


def test_what_a_builder_that_cant_fetch_holds_goes_to_others_and_isnt_lost(farm: Farm) -> None:
    farm.sync(upstream("demo", "1.0", "1.1", "1.2"))
    failed, *rest = farm.keys("pi1", {"pi1": "bookworm"})
    farm.send("pi1", failed, fetch="network")
    report = said(queued=rest, done=[failed], refuses="can't fetch sdists: no route to host")
    assert farm.gather(pi1=report).lost == []
    # While there is nobody else, they stay.
    handout = farm.claim({"pi1": "bookworm"})["pi1"]
    assert (handout.leased, handout.revoke) == (rest, [])
    assert farm.claim(TWO)["pi1"].revoke == rest
    farm.gather(pi1={**report, "queued": [], "done": []}, pi2=said())
    farm.later(seconds=30)
    assert farm.claim(TWO)["pi1"].leased == []
    assert leases(farm) == {"pi2": 3}
    assert {count for _, _, count in attempts(farm)} == {0}


def test_a_claim_waits_for_no_plan_that_has_a_waiting_job_in_hand(farm: Farm, waiting: str) -> None:
    farm.later(seconds=30)
    with farm.connect("sync") as conn, conn.cursor() as cursor:
        cursor.execute("UPDATE jobs SET retry_at = NULL WHERE retry_at IS NOT NULL")
        assert farm.keys("pi1") == []
        conn.commit()
    assert len(farm.keys("pi1")) == 1


# Reports


def test_a_lease_that_the_builder_no_longer_has_goes_back_at_once(nine: Farm) -> None:
    keys = nine.keys("pi1", {"pi1": "bookworm"})
    assert nine.gather(pi1=said(queued=keys)).lost == []
    ended = nine.gather(pi1=said(queued=keys[1:])).lost
    assert [(end.key, end.failed, end.reason) for end in ended] == [
        (keys[0], False, "no longer has it")
    ]
    assert ("pending", 1, 1) in attempts(nine)


def test_a_lease_that_was_never_handed_over_is_not_lost(nine: Farm) -> None:
    keys = nine.keys("pi1", {"pi1": "bookworm"})
    # The report is older than the lease, for all that is known.
    assert nine.gather(pi1=said()).lost == []
    assert [job["key"] for job in nine.claim()["pi1"].jobs] == keys
    # Here it is known that the builder was given them.
    assert len(nine.end_round({"pi1": exchange(said(), handed=keys)}).lost) == 3


def test_a_builder_that_never_takes_a_lease_loses_it_in_the_end(nine: Farm) -> None:
    nine.claim({"pi1": "bookworm"})
    nine.later(minutes=16)
    assert len(nine.gather(pi1=said()).lost) == 3


def test_a_job_that_no_builder_takes_fails_at_the_third_time(farm: Farm) -> None:
    farm.sync(upstream("demo", "1.0"))
    for attempt in (1, 2, 3):
        (key,) = farm.keys("pi1", {"pi1": "bookworm"})
        (end,) = farm.end_round({"pi1": exchange(said(), handed=[key])}).lost
        assert (end.failed, end.reason) == (attempt == 3, "didn't take it")
    assert attempts(farm) == [("failed", 3, 3)]


def test_a_job_that_loses_its_builder_three_times_fails(farm: Farm) -> None:
    farm.sync(upstream("demo", "1.0"))
    farm.rows("UPDATE projects SET dirty_since = NULL")
    for attempt in (1, 2, 3):
        (key,) = farm.keys("pi1", {"pi1": "bookworm"})
        assert key.endswith(f"-{attempt}")
        farm.gather(pi1=said(running=[key]))
        (end,) = farm.gather(pi1=said()).lost
        assert end.failed == (attempt == 3)
    assert attempts(farm) == [("failed", 3, 3)]
    assert farm.claim()["pi1"].jobs == []
    ((status, reason, attempt),) = farm.rows("SELECT status, reason, attempt FROM builds")
    assert (status, attempt) == ("failed", 3)
    assert reason.startswith("builder-lost: 3 times, the last one was pi1")
    assert farm.rows("SELECT attempt, reason_code, reason FROM ended_leases ORDER BY attempt") == [
        (1, "builder-lost", "no longer has it"),
        (2, "builder-lost", "no longer has it"),
    ]
    assert farm.value("SELECT dirty_since FROM projects") == farm.now


@pytest.mark.parametrize(
    "report",
    [
        "no report",
        [],
        {"queued": "all", "running": 7, "done": {"a": 1}},
        {"queued": [None, {}, [], "../../x", "bookworm-0-1", "bookworm-1-99999999999"]},
        {"refuses": {"deep": "reason"}, "free_bytes": float("nan")},
        {"queued": ["x" * 100] * 100_000},
        {**said(), "refuses": "\0 \ud800 \\u0000", "service": "\0"},
        {**said(), "protocol": "2"},
        {**said(), "running": ["bookworm-1-1"]},
        {**said(), "free_bytes": 10**400},
    ],
)
def test_a_report_that_is_nonsense_harms_nobody(nine: Farm, report: object) -> None:
    nine.claim(TWO)
    nine.gather(pi1=report, pi2=said())  # type: ignore[arg-type]
    assert leases(nine)["pi2"] == 3
    assert nine.claim(TWO).keys() >= {"pi2"}


@pytest.mark.parametrize("broken", [{"queued": "all"}, {"done": ["x"]}, {"refuses": ["x"]}])
def test_a_builder_with_a_broken_report_counts_as_not_heard(
    nine: Farm, broken: dict[str, object]
) -> None:
    keys = nine.keys("pi1", {"pi1": "bookworm"})
    nine.gather(pi1=said(queued=keys))
    assert nine.gather(pi1={**said(), **broken}).lost == []
    assert nine.value("SELECT missing_since FROM builders") == nine.now
    assert leases(nine) == {"pi1": 3}


def test_a_report_is_kept_as_it_was_understood(nine: Farm) -> None:
    nine.claim({"pi1": "bookworm"})
    nine.gather(pi1={**said(service="a\0ctive"), "handed": ["x"], "text": "\ud800"})
    kept = {**said(service="a ctive"), "version": None}
    assert nine.value("SELECT report FROM builders") == kept


OF_VERSION_1 = """{"queued": ["bookworm-2-1"], "running": [{"key": "bookworm-1-1",
"project": "demo", "version": "1.0", "started_at": "2026-11-21T11:33:20.250000+00:00"}], "done": [],
"free_bytes": 77827756032, "refuses": null, "service": "active", "version": "0.1.0"}"""
"""A report of before there were versions."""


@pytest.mark.parametrize(("version", "behind"), [(1, "this Pi"), (VERSION + 1, "the master")])
def test_a_pi_of_another_version_waits_and_is_named_and_loses_nothing(
    farm: Farm, version: int, behind: str
) -> None:
    farm.sync(upstream("demo", "1.0", "1.1", "1.2", "1.3", "1.4"))
    farm.rows("UPDATE jobs SET priority = 5 - job_id")
    running, queued, handed = farm.keys("pi1", {"pi1": "bookworm"})
    assert [running, queued] == ["bookworm-1-1", "bookworm-2-1"]
    report = json.loads(OF_VERSION_1)
    if version > 1:
        report |= {"protocol": version, "refuses": {"in": "a new way"}}
    # What it was given in this very round, it didn't take.
    (ended,) = farm.end_round({"pi1": exchange(report, handed=[handed])}).lost
    assert (ended.key, ended.failed) == (handed, False)
    refuses = farm.value("SELECT refuses FROM builders")
    assert refuses == (
        f"it speaks version {version} of the protocol, and the master version {VERSION}: "
        f"run ansible-playbook site.yml for {behind}"
    )
    farm.gather(pi1=report)
    handout = farm.claim()["pi1"]
    assert (handout.jobs, handout.leased) == ([], [running, queued])
    # What it builds meanwhile is recorded, and brought to the master's version it goes on.
    farm.send("pi1", running, protocol=1)
    assert [r.key for r in farm.gather(pi1={**report, "running": [], "done": [running]}).recorded]
    farm.gather(pi1=said(queued=[queued]))
    assert len(farm.claim()["pi1"].jobs) == 2
    assert {count for _, _, count in attempts(farm)} == {0}


def test_a_builder_cant_end_or_keep_anothers_lease(nine: Farm) -> None:
    handouts = nine.claim(TWO)
    theirs = handouts["pi2"].leased
    nine.gather(pi1=said(queued=handouts["pi1"].leased + theirs), pi2=said(queued=theirs))
    nine.gather(pi1=said(queued=theirs))
    assert leases(nine) == {"pi2": 3}
    assert nine.value("SELECT count(*) FROM jobs WHERE handed_at IS NOT NULL") == 3


# Silence


def missed(farm: Farm, minutes: float, times: int) -> list[Ended]:
    """What ends while the builder isn't reached, so many times and so many minutes apart."""
    ended = []
    for _ in range(times):
        farm.later(minutes=minutes)
        ended += farm.gather(pi1=None).lost
    return ended


def test_a_missing_builder_is_left_alone_longer_each_time(nine: Farm) -> None:
    nine.claim(TWO)
    waits = []
    for _ in range(6):
        nine.gather(pi1=None)
        next_contact = nine.value("SELECT next_contact_at FROM builders WHERE name = 'pi1'")
        waits.append(int((next_contact - nine.now).total_seconds()))
        assert "pi1" not in nine.claim(TWO)
        nine.now = next_contact
        assert "pi1" in nine.claim(TWO)
    assert waits == [5, 5, 10, 20, 40, 60]
    nine.gather(pi1=said())
    assert nine.value("SELECT missing_since FROM builders WHERE name = 'pi1'") is None
    assert len(nine.claim(TWO)["pi1"].jobs) == 3


def test_a_clock_that_was_set_back_keeps_no_builder_waiting(nine: Farm) -> None:
    nine.later(days=365)
    nine.claim(TWO)
    nine.gather(pi1=said(), pi2=None)
    nine.later(days=-365)
    handouts = nine.claim(TWO)
    assert handouts.keys() == TWO.keys()
    assert len(handouts["pi1"].jobs) == 3
    nine.end_round(
        {"pi1": exchange(said(), handed=handouts["pi1"].leased), "pi2": exchange(said())}
    )
    # From here on all is as if the clock had never been wrong.
    assert set(nine.rows("SELECT next_contact_at, missing_since FROM builders")) == {
        (nine.now, None)
    }
    assert nine.value("SELECT updated_at FROM sync_state WHERE key = 'last_round'") == nine.now


def test_a_round_without_a_builder_is_a_round_too(farm: Farm) -> None:
    farm.gather()
    assert farm.value("SELECT updated_at FROM sync_state WHERE key = 'last_round'") == farm.now


def test_what_a_missing_builder_never_got_goes_back_at_once(nine: Farm) -> None:
    nine.claim(TWO)
    assert len(nine.gather(pi1=None, pi2=said()).lost) == 3
    nine.later(seconds=5)
    # It is asked again, and leased nothing while it is missing.
    assert nine.claim(TWO)["pi1"].leased == []
    assert {count for _, _, count in attempts(nine)} == {0}


def test_a_lost_builder_gives_its_jobs_back(nine: Farm) -> None:
    keys = nine.keys("pi1", {"pi1": "bookworm"})
    nine.gather(pi1=said(queued=keys[1:], running=keys[:1]))
    assert nine.gather(pi1=None).lost == []
    # Rounds may be slow: it is no less lost for that.
    assert missed(nine, minutes=7, times=2) == []
    ended = missed(nine, minutes=1, times=1)
    assert sorted(end.key for end in ended) == sorted(keys)
    assert {end.reason for end in ended} == {"not seen for 15 min"}
    # What it has when it comes back is no longer its own: it is told so.
    nine.later(minutes=1)
    assert nine.claim()["pi1"].leased == []


@pytest.mark.parametrize(
    "jump",
    [
        pytest.param(timedelta(hours=2), id="its clock is set forward"),
        pytest.param(timedelta(hours=-2), id="its clock is set back"),
        pytest.param(timedelta(days=1), id="it was off for a day"),
    ],
)
@pytest.mark.parametrize("minutes", [0, 14])
def test_a_builder_is_not_lost_by_the_masters_own_absence(
    nine: Farm, jump: timedelta, minutes: int
) -> None:
    """Missed for some minutes before, it must stay away as long as any other afterwards."""
    keys = nine.keys("pi1", {"pi1": "bookworm"})
    nine.gather(pi1=said(queued=keys))
    nine.gather(pi1=None)
    assert missed(nine, minutes=1, times=minutes) == []
    nine.now += jump
    assert nine.gather(pi1=None).lost == []
    assert missed(nine, minutes=1, times=14) == []
    assert len(missed(nine, minutes=1, times=1)) == 3


def test_a_builder_that_comes_back_in_time_goes_on(nine: Farm) -> None:
    keys = nine.keys("pi1", {"pi1": "bookworm"})
    nine.gather(pi1=said(queued=keys))
    nine.gather(pi1=None)
    nine.later(minutes=14)
    assert nine.gather(pi1=said(queued=keys)).lost == []
    nine.later(minutes=2)
    assert nine.gather(pi1=None).lost == []
    nine.later(minutes=1)
    assert nine.keys("pi1") == keys


# How it grows


def test_a_claim_reads_as_many_entries_as_it_leases(farm: Farm) -> None:
    """A million pending jobs, and the plan takes the first ones off the partial index."""
    farm.sync(upstream("demo", "1.0"))
    farm.rows(
        "INSERT INTO versions (project_id, version)"
        " SELECT project_id, '2.' || n FROM projects, generate_series(1, 1000) n"
    )
    farm.rows(
        "INSERT INTO upstream_files (version_id, filename, kind, url, sha256)"
        " SELECT version_id, 'demo-' || version || '.tgz', 'sdist', 'https://x', repeat('0', 64)"
        " FROM versions"
    )
    # A thousand targets stand for a thousand versions: what counts is how long the queue is.
    farm.rows("ALTER TABLE jobs DISABLE TRIGGER ALL")
    farm.rows("ALTER TABLE jobs DROP CONSTRAINT jobs_version_id_target_id_key")
    farm.rows(
        "INSERT INTO jobs (version_id, target_id, upstream_file_id, priority)"
        " SELECT version_id, %s, upstream_file_id, n %% 3"
        " FROM upstream_files, generate_series(1, 1000) n",
        farm.targets[0].target_id,
    )
    farm.rows("UPDATE jobs SET retry_at = %s, retry_reason = '404' WHERE job_id <= 100", farm.now)
    farm.rows("ANALYZE jobs")
    from master.fleet import sql  # noqa: PLC0415 - the statement under test

    (((plan,),),) = [
        farm.rows(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "
            + sql.PICK.replace("%(target_id)s", "%s").replace("%(limit)s", "%s"),
            farm.targets[0].target_id,
            30,
        )
    ]
    node = plan[0]["Plan"]
    kinds = []
    while node:
        kinds.append((node["Node Type"], node.get("Index Name")))
        buffers = node["Shared Hit Blocks"] + node["Shared Read Blocks"]
        node = node.get("Plans", [None])[0]
    assert kinds == [("Limit", None), ("LockRows", None), ("Index Scan", "jobs_claim")]
    assert buffers < 100
    wake = sql.WAKE.replace("%(now)s", "now()").replace("%(longest_wait)s", "'1 h'::interval")
    lines = "\n".join(line for (line,) in farm.rows(f"EXPLAIN {wake}"))
    assert "jobs_waiting" in lines
    assert "Seq Scan" not in lines


def test_others_in_the_way_are_told_as_that(nine: Farm) -> None:
    def try_to_claim() -> None:
        with db.session(nine.config, "queue") as conn:
            conn.cursor().execute("SET lock_timeout = '100ms'")
            claim.claim(conn, nine.config, nine.now, TWO)

    with nine.connect("owner") as holder, holder.cursor() as cursor:
        cursor.execute("LOCK TABLE builders IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(db.BusyError, match="others held what this needs"):
            try_to_claim()
