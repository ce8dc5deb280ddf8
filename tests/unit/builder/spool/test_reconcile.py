"""The spool agrees with what the master says, and the report tells what is."""

from __future__ import annotations

import errno
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from builder import files
from builder.spool import reconcile, status
from builder.spool.held import hold
from builder.spool.spool import Snapshot, Spool
from protocol import report as reports
from protocol.result import Result
from tests.support.builder import config, job

QUEUED, RUNNING, DONE = "bookworm-1-1", "bookworm-2-1", "bookworm-3-1"
ALL = (QUEUED, RUNNING, DONE)
SPOOL = Snapshot((hold(job(QUEUED), 0.0),), (hold(job(RUNNING), 0.0),), (DONE,))


def test_a_report_says_what_the_rootfs_is_made_of_and_whether_its_refresh_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = {"wheelyard-rootfs@bookworm.service": "failed"}
    monkeypatch.setattr(reconcile, "_state", states.__getitem__)
    settings = config(tmp_path)
    assert reconcile.rootfs(settings) is None
    settings.rootfs_marker.parent.mkdir()
    made = {"made_of": {}, "digest": "0a" * 32, "made_at": "2026-11-21T08:00:00+00:00"}
    settings.rootfs_marker.write_text(json.dumps(made))
    expected = reports.Rootfs("0a" * 32, datetime(2026, 11, 21, 8, tzinfo=UTC), failed=True)
    assert reconcile.report(settings, Snapshot((), (), ()), "active").rootfs == expected


def test_what_is_leased_stays() -> None:
    assert not reconcile.plan(SPOOL, [], ALL, ())


def test_what_the_master_no_longer_names_is_acknowledged_or_withdrawn() -> None:
    changes = reconcile.plan(SPOOL, [], (), ())
    assert changes == reconcile.Changes((), (DONE,), (QUEUED,))


def test_a_revoked_job_goes_and_a_revoked_result_stays() -> None:
    changes = reconcile.plan(SPOOL, [], (), ALL)
    assert changes == reconcile.Changes((), (), (QUEUED,))


def test_a_job_that_runs_is_left_alone() -> None:
    after = reconcile.after(SPOOL, reconcile.plan(SPOOL, [], (), (RUNNING,)))
    assert [item.key for item in after.running] == [RUNNING]


def test_new_jobs_are_added_once() -> None:
    new = job("bookworm-4-1")
    changes = reconcile.plan(SPOOL, [new, job(RUNNING)], ALL, ())
    assert changes.add == (new,)
    assert not reconcile.plan(reconcile.after(SPOOL, changes), [new], (*ALL, new.key), ())


def test_a_full_disk_is_said_and_earlier_changes_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(tmp_path)
    spool = Spool(settings.spool_dir)
    spool.make()
    spool.add(job(QUEUED))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "write_synced", full)
    changes = reconcile.Changes(add=(job("bookworm-4-1"),), withdraw=(QUEUED,))
    said = reconcile.apply(spool, changes) or ""
    assert said.startswith("disk full: ")
    assert said.endswith("remove something from the Pi")
    assert spool.snapshot().keys == frozenset()


def test_the_report_tells_what_is_in_the_spool(tmp_path: Path) -> None:
    settings = config(tmp_path)
    status.write(settings.status_path, None)
    spool = Spool(settings.spool_dir)
    spool.make()
    for key in (DONE, RUNNING, QUEUED):
        spool.add(job(key))
    assert spool.take(0.0) is not None
    spool.finish(Result(DONE, "failed", "why", None, None, 1.0), b"", None)
    assert spool.take(1.0) is not None
    report = reports.dump(reconcile.report(settings, spool.snapshot(), "active"))
    assert report["queued"] == [QUEUED]
    assert report["running"] == [
        {
            "key": RUNNING,
            "started_at": "1970-01-01T00:00:01+00:00",
        }
    ]
    assert report["done"] == [DONE]
    assert report["refuses"] is None
    assert report["service"] == "active"
    assert report["free_bytes"] > 0


@pytest.mark.parametrize(
    ("service", "min_free_bytes", "said", "refuses"),
    [
        ("failed", 0, None, "wheelyard-builder.service is failed"),
        ("active", 1 << 62, None, "disk full: "),
        ("active", 0, "the trial build failed", "the trial build failed"),
    ],
)
def test_a_builder_that_can_not_build_refuses(
    tmp_path: Path, service: str, min_free_bytes: int, said: str | None, refuses: str
) -> None:
    settings = config(tmp_path, min_free_bytes=min_free_bytes)
    status.write(settings.status_path, said)
    report = reconcile.report(settings, Snapshot((), (), ()), service)
    assert (report.refuses or "").startswith(refuses)


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_clock_that_is_far_off_is_wrong(sign: int) -> None:
    here = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)

    def said(minutes: float) -> str | None:
        there = here + sign * timedelta(minutes=minutes)
        return reconcile.wrong_clock(there.strftime("%Y-%m-%dT%H:%M:%SZ"), here)

    assert said(0) is said(5) is None
    assert "its clock says 2026-05-01 12:30 UTC, and the master's 2026-0" in (said(5.1) or "")
    assert reconcile.wrong_clock("2026-05-01T14:30:00+02:00", here) is None


def test_a_service_that_never_spoke_takes_no_jobs(tmp_path: Path) -> None:
    report = reconcile.report(config(tmp_path), Snapshot((), (), ()), "active")
    assert "isn't running" in (report.refuses or "")
