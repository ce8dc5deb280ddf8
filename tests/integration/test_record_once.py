"""A result counts once, and only if it comes from the builder that has the lease."""

from __future__ import annotations

import pytest

from master.results.record import RefusedError
from tests.support.farm import Farm, exchange, said
from tests.support.wheels import Forge


def test_a_result_is_recorded_once_however_often_it_comes(farm: Farm, key: str) -> None:
    farm.send("pi1", key, Forge())
    farm.record(key)
    before = farm.rows("SELECT * FROM jobs, builds, files")
    farm.send("pi1", key, Forge())
    gathered = farm.gather(pi1=said(done=[key]))
    assert [(r.key, r.reason) for r in gathered.refused] == [(key, "it is recorded already")]
    assert farm.rows("SELECT * FROM jobs, builds, files") == before
    assert farm.differences() == []


def test_a_result_of_an_attempt_that_isnt_the_current_one_is_refused(farm: Farm, key: str) -> None:
    farm.gather(pi1=said(queued=[key]))
    farm.gather(pi1=said())
    (again,) = farm.keys("pi2")[:1] or farm.keys("pi1")
    farm.send("pi1", key, Forge())
    with pytest.raises(RefusedError, match="attempt 1 isn't the current one, which is 2"):
        farm.record(key)
    assert again in [k for h in farm.claims().handouts for k in h.leased]
    assert farm.differences() == []


@pytest.mark.parametrize(
    ("builder", "change", "why"),
    [
        ("pi2", {}, "the job is leased to pi1"),
        ("pi1", {"bookworm": "trixie"}, "no such job"),
        ("pi1", {"-1-": "-999-"}, "no such job"),
    ],
)
def test_a_result_of_anothers_job_is_refused(
    farm: Farm, key: str, builder: str, change: dict[str, str], why: str
) -> None:
    other = key
    for old, new in change.items():
        other = other.replace(old, new, 1)
    if change and other == key:
        other = key.replace(key.split("-")[1], "999")
    farm.send(builder, other, Forge())
    with pytest.raises(RefusedError, match=why):
        farm.record(other, builder)
    assert farm.states() == {"demo 1.0": "pending"} or farm.states() == {"demo 1.0": "leased"}
    assert farm.differences() == []


def test_only_what_was_fetched_whole_is_looked_at(farm: Farm, key: str) -> None:
    farm.send("pi1", key, Forge())
    gathered = farm.end_round({"pi1": exchange(said(done=[key]), collected=[])})
    assert not gathered.recorded
    assert not gathered.refused
    assert not gathered.lost
    gathered = farm.gather(pi1=said(done=[key]))
    assert [r.status for r in gathered.recorded] == ["built"]


def test_what_nobody_waits_for_is_swept_away(farm: Farm, key: str) -> None:
    farm.send("pi1", "bookworm-999-1", Forge())
    farm.send("pi2", key, Forge())
    farm.send("pi1", key, Forge())
    (farm.config.incoming / "pi1" / "stray").write_text("x")
    farm.gather()
    left = sorted(
        str(p.relative_to(farm.config.incoming)) for p in farm.config.incoming.glob("*/*")
    )
    assert left == [f"pi1/{key}"]
