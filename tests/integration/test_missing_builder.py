"""A builder that isn't reached is given time, and in the end its jobs go to others."""

from __future__ import annotations

from datetime import timedelta

import pytest

from master.fleet.leases import EndedLease
from tests.support.farm import TWO, Farm, attempts, said


def missed(farm: Farm, minutes: float, times: int) -> list[EndedLease]:
    """Return what ends while the builder isn't reached, so many times and so many minutes apart."""
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
    # Rounds may be slow: it is as lost for all that.
    assert missed(nine, minutes=7, times=2) == []
    ended = missed(nine, minutes=1, times=1)
    assert sorted(end.key for end in ended) == sorted(keys)
    assert {end.reason for end in ended} == {"not seen for 15 min"}
    # What it has when it comes back isn't its own any longer: it is told so.
    nine.later(minutes=1)
    assert nine.claim()["pi1"].leased == []


@pytest.mark.parametrize(
    "absence", [timedelta(hours=2), timedelta(days=1)], ids=["for two hours", "for a day"]
)
@pytest.mark.parametrize("minutes", [0, 14])
def test_a_builder_is_not_lost_by_the_masters_own_absence(
    nine: Farm, absence: timedelta, minutes: int
) -> None:
    """Missed for some minutes before, it must stay away as long as any other afterwards."""
    keys = nine.keys("pi1", {"pi1": "bookworm"})
    nine.gather(pi1=said(queued=keys))
    nine.gather(pi1=None)
    assert missed(nine, minutes=1, times=minutes) == []
    nine.now += absence
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
