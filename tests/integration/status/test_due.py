"""A round is due when there is something to do, and once a minute in any case."""

from __future__ import annotations

from datetime import timedelta

import pytest

from master.database import connection as db
from master.site import publish
from master.status import due
from tests.support.farm import Farm


def is_due(farm: Farm) -> bool:
    with db.session(farm.config, "readonly") as conn:
        return due.is_due(conn, farm.config, farm.now)


def last_round(farm: Farm, seconds_ago: float) -> None:
    noted(farm, "last_round", seconds_ago)


def noted(farm: Farm, key: str, seconds_ago: float) -> None:
    farm.rows(
        "INSERT INTO sync_state VALUES (%s, '', %s) ON CONFLICT (key)"
        " DO UPDATE SET updated_at = excluded.updated_at",
        key,
        farm.now - timedelta(seconds=seconds_ago),
    )


def test_a_round_is_due_once_a_minute(farm: Farm) -> None:
    assert is_due(farm)
    last_round(farm, 59)
    assert not is_due(farm)
    last_round(farm, 60)
    assert is_due(farm)


def test_a_round_is_due_while_jobs_wait_or_are_leased(farm: Farm) -> None:
    last_round(farm, 5)
    job = farm.job("spidev", "1")
    assert is_due(farm)
    farm.rows("UPDATE jobs SET state = 'built', finished_at = now() WHERE job_id = %s", job)
    assert not is_due(farm)
    farm.job("lzo", "1", "leased", builder_id=farm.builder("pi1"))
    assert is_due(farm)


@pytest.mark.parametrize(("wait_s", "due"), [(1, False), (3600, False), (0, True), (-60, True)])
def test_a_job_that_waits_makes_a_round_due_when_a_claim_would_wake_it(
    farm: Farm, wait_s: float, due: bool
) -> None:
    last_round(farm, 5)
    farm.job(
        "spidev",
        "1",
        retry_at=farm.now + timedelta(seconds=wait_s),
        retry_reason="the server says 404",
    )
    assert is_due(farm) == due


def test_jobs_of_a_target_that_is_retired_make_no_round_due(farm: Farm) -> None:
    last_round(farm, 5)
    farm.job("spidev", "1")
    farm.job("spidev", "2", retry_at=farm.now, retry_reason="404")
    farm.rows("UPDATE targets SET active = false")
    assert not is_due(farm)


def test_a_round_is_due_until_all_is_published(farm: Farm) -> None:
    last_round(farm, 5)
    farm.version("spidev", "1")
    farm.rows("UPDATE projects SET dirty_since = now()")
    assert is_due(farm)
    farm.rows("UPDATE projects SET dirty_since = NULL")
    assert not is_due(farm)
    undeleted = farm.config.state_dir / "publish" / due.REMOVED
    undeleted.parent.mkdir(parents=True)
    undeleted.write_text("simple/spidev/index.html\n")
    assert is_due(farm)


def test_a_publish_that_was_cut_off_with_nothing_to_delete_makes_no_round_due(
    farm: Farm,
) -> None:
    last_round(farm, 5)
    undeleted = farm.config.state_dir / "publish" / due.REMOVED
    undeleted.parent.mkdir(parents=True)
    undeleted.touch()
    assert not is_due(farm)
    with db.session(farm.config, "site") as conn:
        assert publish.stale_projects(conn, farm.config) == []


@pytest.mark.parametrize(
    ("published_s_ago", "hour_s_ago", "stale"),
    [(60, 3599, False), (60, 3600, True), (60, None, True), (None, None, False)],
)
def test_what_is_published_once_an_hour_waits_for_the_next_round(
    farm: Farm, published_s_ago: float | None, hour_s_ago: float | None, stale: bool
) -> None:
    last_round(farm, 5)
    for key, seconds_ago in (("last_publish", published_s_ago), ("hourly_pages", hour_s_ago)):
        if seconds_ago is not None:
            noted(farm, key, seconds_ago)
    with db.session(farm.config, "queue") as conn:
        assert due.is_stale(conn, farm.config, farm.now) == stale
    # There is one within a minute anyway.
    assert not is_due(farm)


def test_whatever_goes_wrong_the_round_is_to_say_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> None:
        raise RuntimeError

    monkeypatch.setattr("master.config.load", load)
    assert due.main() == 0
