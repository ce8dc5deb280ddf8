"""What a builder says of its jobs is believed about its own, and a lease that it hasn't ends."""

from __future__ import annotations

import json

import pytest

from protocol import VERSION
from tests.support.farm import TWO, Farm, attempts, exchange, leases, said, upstream


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
    kept = {**said(service="a ctive"), "version": None, "rootfs": None}
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
