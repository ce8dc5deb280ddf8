"""Who is given which job."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace

import pytest

from master.database import connection as db
from master.fleet import claim
from protocol import VERSION
from tests.support.farm import TWO, Farm, attempts, leases, said, upstream


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


@pytest.mark.soak
def test_many_claims_at_once_lease_each_job_once_and_fill_no_spool_twice(farm: Farm) -> None:
    fleet = {f"pi{n}": "bookworm" for n in range(10)}
    farm.claim(fleet)
    farm.sync(upstream("demo", *(f"1.{n}" for n in range(40))))
    errors: list[BaseException] = []

    def claim() -> None:
        try:
            farm.claim()
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
    wake = sql.WAKE.replace("%(now)s", "now()")
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
        with pytest.raises(db.BusyError, match="others kept what this needs"):
            try_to_claim()
