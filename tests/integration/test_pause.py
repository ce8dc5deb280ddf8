"""A paused builder gets nothing new, and no job is lost by it."""

from __future__ import annotations

import threading

import pytest

from master.database import connection as db
from master.fleet import pause
from tests.support.farm import TWO, Farm, attempts, leases, said, upstream

ONE = {"pi1": "bookworm"}


def paused(farm: Farm, reason: str = "new fan", by: pause.By = "operator") -> pause.Change:
    with farm.connect("queue") as conn:
        return pause.pause(conn, ["pi1"], reason, by, farm.now)


def resumed(farm: Farm, by: pause.By = "operator") -> pause.Change:
    with farm.connect("queue") as conn:
        return pause.resume(conn, ["pi1"], by)


def test_a_paused_builder_is_talked_to_and_gets_nothing_until_it_is_resumed(farm: Farm) -> None:
    farm.claim(TWO)
    assert paused(farm) == pause.Change({"pi1": None}, {"pi1": "new fan"})
    farm.sync(upstream("demo", "1.0", "1.1", "1.2", "1.3", "1.4"))
    farm.rows("UPDATE jobs SET priority = 100 WHERE job_id = 1")
    handout = farm.claim(TWO)["pi1"]
    assert (handout.jobs, handout.leased, handout.revoke) == ([], [], [])
    assert leases(farm) == {"pi2": 3}
    assert resumed(farm) == pause.Change({"pi1": "new fan"}, {"pi1": None})
    farm.claim(TWO)
    assert leases(farm) == {"pi1": 2, "pi2": 3}


def test_a_paused_builder_finishes_what_it_has_begun_and_gives_the_rest_back(farm: Farm) -> None:
    farm.sync(upstream("demo", "1.0", "1.1", "1.2"))
    done, running, queued = farm.keys("pi1", ONE)
    farm.send("pi1", done)
    farm.gather(pi1=said(done=[done], running=[running], queued=[queued]))
    paused(farm)
    # Also where there is nobody else to build it.
    handout = farm.claim(ONE)["pi1"]
    assert (handout.leased, handout.revoke) == ([running], [queued])
    farm.gather(pi1=said(running=[running]))
    (moved,) = farm.claim(TWO)["pi2"].jobs
    assert moved["key"] == queued.removesuffix("-1") + "-2"
    farm.send("pi1", running)
    farm.gather(pi1=said(done=[running]))
    assert leases(farm) == {"pi2": 1}
    assert {count for _, _, count in attempts(farm)} == {0}


def test_what_a_builder_began_before_it_knew_that_it_is_paused_stays_with_it(farm: Farm) -> None:
    farm.sync(upstream("demo", "1.0", "1.1"))
    first, second = farm.keys("pi1", ONE)
    farm.gather(pi1=said(queued=[first, second]))
    paused(farm)
    assert farm.claim(ONE)["pi1"].revoke == [first, second]
    farm.gather(pi1=said(running=[first]))
    handout = farm.claim(ONE)["pi1"]
    assert (handout.leased, handout.revoke) == ([first], [])


def test_what_was_not_handed_over_before_the_pause_never_is(farm: Farm) -> None:
    farm.sync(upstream("demo", "1.0"))
    (key,) = farm.keys("pi1", ONE)
    paused(farm)
    handout = farm.claim(ONE)["pi1"]
    assert (handout.jobs, handout.revoke) == ([], [key])
    farm.gather(pi1=said())
    assert attempts(farm) == [("pending", 1, 0)]


def test_a_pause_waits_for_the_claim_that_is_under_way(farm: Farm) -> None:
    farm.sync(upstream("demo", "1.0"))
    farm.claim({**ONE, "pi2": "trixie"})
    waits = threading.Thread(target=paused, args=(farm,))
    with farm.connect("queue") as conn:
        db.lock(conn, db.Lock.CLAIM)
        waits.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while not farm.value(waiting):
            assert waits.is_alive()
        assert farm.value("SELECT paused_at FROM builders WHERE name = 'pi1'") is None
    waits.join()
    assert farm.value("SELECT paused_at FROM builders WHERE name = 'pi1'") == farm.now


def test_a_paused_builder_that_is_lost_loses_its_jobs_to_others(farm: Farm) -> None:
    farm.sync(upstream("demo", "1.0"))
    (key,) = farm.keys("pi1", ONE)
    farm.gather(pi1=said(running=[key]))
    paused(farm)
    for _ in range(3):
        farm.claim(TWO)
        farm.gather(pi1=None, pi2=said())
        farm.later(minutes=8)
    assert len(farm.claim(TWO)["pi2"].jobs) == 1


def test_a_pause_keeps_its_beginning_and_takes_the_last_reason(farm: Farm) -> None:
    farm.claim(ONE)
    began = farm.now
    paused(farm)
    farm.later(minutes=5)
    assert paused(farm, "no fan\n\x1b[2J left").after == {"pi1": "no fan [2J left"}
    assert paused(farm, "  ").after == {"pi1": "no reason given"}
    assert farm.value("SELECT paused_at FROM builders") == began


def test_an_upgrade_resumes_what_it_has_paused_and_nothing_that_an_operator_has(farm: Farm) -> None:
    farm.claim(ONE)
    paused(farm, "upgrade", "upgrade")
    assert resumed(farm, "upgrade").after == {"pi1": None}
    paused(farm)
    assert paused(farm, "upgrade", "upgrade").after == {"pi1": "new fan"}
    assert resumed(farm, "upgrade").after == {"pi1": "new fan"}
    # An operator takes over what an upgrade has paused.
    resumed(farm)
    paused(farm, "upgrade", "upgrade")
    paused(farm)
    assert resumed(farm, "upgrade").after == {"pi1": "new fan"}


def test_a_pause_ends_when_the_pi_leaves_the_inventory_and_not_when_it_moves(farm: Farm) -> None:
    farm.claim(TWO)
    paused(farm)
    farm.claim({**TWO, "pi1": "trixie"})
    assert resumed(farm).before == {"pi1": "new fan"}
    paused(farm)
    farm.claim({"pi2": "bookworm"})
    farm.claim(TWO)
    assert resumed(farm).before == {"pi1": None}


def test_an_unknown_builder_is_named_with_those_that_are_known(farm: Farm) -> None:
    with pytest.raises(pause.UnknownBuilderError, match="know pi1; it knows no Pi"):
        paused(farm)
    farm.claim({"pi2": "bookworm", "pi3": "trixie"})
    with pytest.raises(pause.UnknownBuilderError, match="know pi1; it knows pi2, pi3"):
        resumed(farm)
