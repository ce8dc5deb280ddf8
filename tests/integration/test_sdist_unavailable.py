"""A job whose sdist can't be fetched waits, longer each time, and fails in the end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from master.jobs import retry
from protocol.result import FETCH_CODES
from tests.support.farm import TWO, Farm, attempts, leases, said, upstream
from tests.support.wheels import PURE, Forge

WAITS = (
    "SELECT state, fetch_failures, retry_at, retry_reason FROM jobs JOIN targets USING (target_id)"
    " WHERE name = 'bookworm'"
)


@pytest.fixture
def waiting(farm: Farm) -> str:
    """Return the key that a job had which waits half a minute for its sdist."""
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


def tried(farm: Farm, *codes: str) -> list[float]:
    """How long the job waits after each of these results, in seconds; it ends with the last one."""
    waits = []
    for code in codes:
        (key,) = farm.keys("pi1")
        farm.send("pi1", key, reason="the sdist can't be fetched: why", fetch=code)
        farm.record(key)
        retry_at = farm.value("SELECT max(retry_at) FROM jobs")
        if retry_at is None:
            break
        waits.append((retry_at - farm.now).total_seconds())
        farm.now = retry_at
    return waits


def test_a_builder_says_no_trouble_that_the_master_doesnt_know() -> None:
    assert set(FETCH_CODES) == set(retry.CODES)


def test_a_job_whose_sdist_cant_be_fetched_goes_back_to_wait(farm: Farm, key: str) -> None:
    farm.send("pi1", key, reason="the sdist can't be fetched: 404", fetch="missing")
    gathered = farm.gather(pi1=said(done=[key]))
    assert [(r.key, r.status, r.reason) for r in gathered.recorded] == [
        (key, "waiting", "the sdist can't be fetched: 404")
    ]
    assert farm.rows(WAITS) == [
        ("pending", 1, farm.now + timedelta(seconds=30), "the sdist can't be fetched: 404")
    ]
    assert farm.rows("SELECT * FROM builds") == []
    assert farm.value("SELECT dirty_since FROM projects") is None
    # It is acknowledged, as it is named no longer.
    assert farm.claim()["pi1"].leased == []
    assert farm.differences() == []


def test_the_network_fails_a_job_at_the_eighth_time(farm: Farm, key: str) -> None:
    assert tried(farm, *["network"] * 9) == [30, 60, 120, 240, 480, 600, 600]
    assert farm.rows(WAITS)[0][0] == "failed"
    ((status, reason, attempt),) = farm.rows("SELECT status, reason, attempt FROM builds")
    assert (status, reason, attempt) == ("failed", "the sdist can't be fetched: why", 8)
    assert farm.rows("SELECT count(*), max(attempt), max(reason_code) FROM ended_leases") == [
        (7, 7, "sdist-unavailable")
    ]
    assert farm.value("SELECT DISTINCT reason_code FROM builds") == "sdist-unavailable"
    assert farm.value("SELECT count(*) FROM build_logs") == 1
    assert farm.differences() == []


def test_another_file_than_promised_fails_a_job_at_the_second_time(farm: Farm, key: str) -> None:
    # Whatever else kept it meanwhile.
    waits = tried(farm, "network", "other-file", "missing", "other-file", "network")
    assert waits == [30, 60, 120]
    assert farm.value("SELECT max(attempt) FROM builds") == 4


def test_a_missing_sdist_is_tried_until_a_sync_finds_it_gone(farm: Farm, key: str) -> None:
    waits = tried(farm, *["missing"] * 30)
    assert waits[:8] == [30, 60, 120, 240, 480, 960, 1920, 3600]
    assert waits[8:] == [3600] * 22
    # The network's share is counted apart.
    assert tried(farm, "network") == [600]
    farm.sync(replace(upstream("demo"), is_final=True))
    assert [row[:3] for row in farm.rows(WAITS)] == [("skipped", 31, None)]
    assert farm.rows("SELECT * FROM builds") == []


def test_a_missing_sdist_that_no_sync_asks_for_fails_at_the_twelfth_time(
    farm: Farm, key: str
) -> None:
    farm.rows("UPDATE projects SET followed = false")
    assert len(tried(farm, *["missing"] * 13)) == 11
    assert farm.rows(WAITS)[0][0] == "failed"
    assert farm.value("SELECT max(attempt) FROM builds") == 12


@pytest.mark.parametrize("code", [None, "", "gone", 7, ["network"], {"network": 1}])
def test_a_failure_that_names_no_known_trouble_is_one_as_any_other(
    farm: Farm, key: str, code: object
) -> None:
    farm.send("pi1", key, fetch=code)
    assert farm.record(key).status == "failed"
    assert farm.value("SELECT count(*) FROM builds") == 1


def test_a_wheel_that_says_it_wasnt_fetched_is_one_as_any_other(farm: Farm, key: str) -> None:
    farm.send("pi1", key, Forge(), fetch="network")
    assert farm.record(key).status == "built"
    assert farm.differences() == []


def test_a_wheel_for_every_platform_ends_what_waits_for_its_sdist(farm: Farm, key: str) -> None:
    (other,) = farm.keys("pi3", {"pi1": "bookworm", "pi3": "trixie"})
    farm.send("pi3", other, fetch="network")
    farm.record(other, "pi3")
    farm.send("pi1", key, PURE)
    farm.record(key)
    assert farm.states("trixie") == {"demo 1.0": "skipped"}
    assert farm.value("SELECT count(retry_at) FROM jobs") == 0
