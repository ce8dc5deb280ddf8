"""Which versions are queued, and what an operator asks for by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime

import pytest

from master.database import connection as db
from master.jobs import request
from master.jobs.policy import Planned
from master.upstream import model, named, page, project, pypi
from tests.support.farm import Farm, said, sdist, upstream
from tests.support.index import LOGIN_PAGE, Answer, Catalogue, File, Server
from tests.support.wheels import Forge

Plan = Callable[..., Planned]


@pytest.fixture
def plan(farm: Farm) -> Plan:
    """Return what build.yml does with packages: their projects are read, then they are queued."""

    def run(
        *packages: str,
        targets: Sequence[str] = ("bookworm",),
        url: str = "http://127.0.0.1:9/simple/",
        check: bool = False,
    ) -> Planned:
        wanted = [target for target in farm.targets if target.name in targets]
        names = dict.fromkeys(name for name, _ in request.read(packages)[0])
        with farm.connect("sync") as conn, pypi.Index(url, "x") as index:
            found = named.projects(conn, index, names, targets=wanted, now=farm.now, check=check)
        pages = [asdict(page) for page in found.pages if check]
        with farm.connect("sync") as conn, db.transaction(conn, dry_run=check) as cursor:
            # As Ansible hands them on.
            for page in json.loads(json.dumps(pages, default=datetime.isoformat)):
                read = model.from_plain(page)
                project.write(
                    cursor, read, None, targets=[], newest=None, now=farm.now, followed=False
                )
            return request.queue(cursor, packages, found.unread, wanted, farm.now)

    return run


def test_the_newest_versions_get_jobs_and_prereleases_only_where_there_is_nothing_else(
    farm: Farm,
) -> None:
    farm.sync(upstream("demo", "1.0", "1.10", "1.9", "2.0rc1"), newest=2)
    farm.sync(upstream("early", "0.1a1", "0.1b1"), newest=1)
    assert farm.states() == {
        "demo 1.10": "pending",
        "demo 1.9": "pending",
        "early 0.1b1": "pending",
    }


def test_fewer_versions_leave_the_queue_and_come_back_when_more_are_wanted(farm: Farm) -> None:
    three = upstream("demo", "1.0", "2.0", "3.0rc1")
    farm.sync(three)
    assert farm.sync(three, newest=1).changed
    skipped = {"demo 3.0rc1": "skipped", "demo 2.0": "pending", "demo 1.0": "skipped"}
    assert farm.states() == farm.states("trixie") == skipped
    assert farm.rows("SELECT DISTINCT reason FROM jobs WHERE state = 'skipped'") == [
        ("not among the newest versions that the farm builds",)
    ]
    assert not farm.sync(three, newest=1).changed
    assert farm.sync(three, targets=["bookworm"], check=True).queued == 2
    assert farm.states() == skipped
    # Limited to bookworm, it changes nothing for trixie.
    assert farm.sync(three, targets=["bookworm"]).queued == 2
    assert set(farm.states().values()) == {"pending"}
    assert farm.states("trixie") == skipped


def test_a_new_version_takes_the_place_of_the_oldest_in_the_queue_and_of_no_other_job(
    farm: Farm,
) -> None:
    farm.sync(upstream("demo", "1.0"), newest=2)
    (built,) = farm.keys("pi1", {"pi1": "bookworm"})
    farm.send("pi1", built, Forge())
    farm.gather(pi1=said(done=[built]))
    farm.sync(upstream("demo", "1.0", "2.0"), newest=2)
    assert len(farm.keys("pi1")) == 1
    farm.sync(upstream("demo", "1.0", "2.0", "3.0", "4.0"), newest=2)
    states = {"demo 1.0": "built", "demo 2.0": "leased", "demo 4.0": "pending"}
    assert farm.states() == {**states, "demo 3.0": "pending"}
    farm.sync(upstream("demo", "1.0", "2.0", "3.0", "4.0", "5.0"), newest=2)
    assert farm.states() == {**states, "demo 3.0": "skipped", "demo 5.0": "pending"}
    assert farm.value("SELECT count(*) FROM files") == 1


def test_a_package_is_queued_whatever_number_of_versions_is_wanted(farm: Farm, plan: Plan) -> None:
    three = upstream("demo", "1.0", "2.0", "3.0")
    farm.sync(three)
    farm.sync(three, newest=1)
    assert plan("demo==1.0").queued == 1
    farm.sync(three, newest=1)
    assert farm.states() == {"demo 3.0": "pending", "demo 2.0": "skipped", "demo 1.0": "pending"}
    assert farm.states("trixie")["demo 1.0"] == "skipped"


def test_what_is_out_of_the_queue_says_why_it_is_now(farm: Farm) -> None:
    both = upstream("demo", "1.0", "2.0")
    farm.sync(both)
    reason = (
        "SELECT DISTINCT reason FROM jobs JOIN versions USING (version_id) WHERE version = '1.0'"
    )
    farm.sync(upstream("demo", "2.0"))
    finished = farm.value("SELECT max(finished_at) FROM jobs")
    assert farm.rows(reason) == [("gone from the index",)]
    farm.later(hours=1)
    assert farm.sync(both, newest=1).changed
    assert farm.rows(reason) == [("not among the newest versions that the farm builds",)]
    assert farm.value("SELECT max(finished_at) FROM jobs") == finished
    # Trixie has a newer Python than bookworm.
    young = model.UpstreamVersion("1.0", (sdist("demo", "1.0", requires_python=">=3.12"),))
    farm.sync(model.UpstreamProject("demo", (young, *upstream("demo", "2.0").versions)))
    assert farm.rows(reason + " AND state = 'skipped'") == [("needs another Python",)]
    assert farm.states()["demo 1.0"] == "skipped"
    assert farm.states("trixie")["demo 1.0"] == "pending"


def test_a_new_target_gets_what_it_lacks_and_only_that(farm: Farm) -> None:
    both = upstream("demo", "1.0", "1.1")
    farm.sync(both)
    farm.rows("DELETE FROM jobs WHERE target_id = (SELECT max(target_id) FROM targets)")
    assert farm.sync(both, targets=["trixie"]).queued == 2
    again = farm.sync(both, targets=["trixie"])
    assert (again.queued, again.changed) == (0, False)
    assert farm.states("trixie") == {"demo 1.0": "pending", "demo 1.1": "pending"}


def test_a_skip_rule_keeps_versions_out_of_the_queue(farm: Farm, plan: Plan) -> None:
    both = upstream("demo", "1.0", "1.1")
    farm.sync(both)
    farm.rows(
        "INSERT INTO skips (project_id, version_id, target_id, reason)"
        " SELECT project_id, version_id, NULL, 'hangs' FROM versions WHERE version = '1.1'"
    )
    farm.sync(both)
    assert farm.states() == {"demo 1.0": "pending", "demo 1.1": "skipped"}
    with pytest.raises(request.CannotBuildError, match="skip rule"):
        plan("demo==1.1")
    farm.rows("DELETE FROM skips")
    farm.sync(both)
    assert farm.states() == {"demo 1.0": "pending", "demo 1.1": "pending"}


def test_packages_come_first_and_nothing_else_is_queued(farm: Farm, plan: Plan) -> None:
    farm.sync(upstream("first", "1.0"))
    farm.sync(upstream("demo", "1.0", "2.0"), newest=1)
    outcome = plan("Demo==1.0.0")
    assert outcome.queued == 1
    (job_id,) = outcome.job_ids
    assert farm.keys("pi1", {"pi1": "bookworm"})[0] == f"bookworm-{job_id}-1"
    assert "demo 1.0" not in farm.states("trixie")


def test_a_package_that_a_builder_has_already_is_asked_back(farm: Farm, plan: Plan) -> None:
    farm.sync(upstream("demo", "1.0", "1.1", "1.2"))
    running, next_one, last = farm.keys("pi1", {"pi1": "bookworm"})
    farm.gather(pi1=said(running=[running], queued=[next_one, last]))
    query = "SELECT version FROM jobs JOIN versions USING (version_id) WHERE job_id = %s"
    job_id = int(last.split("-")[1])
    assert plan(f"demo=={farm.value(query, job_id)}").job_ids == [job_id]
    assert farm.claim()["pi1"].revoke == [last]


def test_a_name_alone_stands_for_its_newest_version(farm: Farm, plan: Plan) -> None:
    farm.sync(upstream("demo", "1.0", "2.0", "3.0rc1"), newest=1)
    outcome = plan("demo", targets=("bookworm", "trixie"))
    assert len(outcome.job_ids) == 2
    assert farm.value("SELECT count(*) FROM jobs WHERE priority = 100") == 2


def test_a_failed_package_is_queued_again_and_a_built_one_is_not(farm: Farm, plan: Plan) -> None:
    farm.sync(upstream("demo", "1.0", "2.0"))
    good, bad = farm.keys("pi1", {"pi1": "bookworm"})
    farm.send(
        "pi1",
        good,
        Forge(
            version=farm.value(
                "SELECT version FROM versions JOIN jobs USING (version_id) WHERE job_id = %s",
                int(good.split("-")[1]),
            )
        ),
    )
    farm.send("pi1", bad)
    farm.gather(pi1=said(done=[good, bad]))
    states = farm.states()
    assert sorted(states.values()) == ["built", "failed"]
    outcome = plan("demo==1.0", "demo==2.0")
    assert outcome.queued == 1
    assert len(outcome.already_built) == len(outcome.job_ids) == 1
    assert sorted(farm.states().values()) == ["built", "pending"]
    # The second attempt is another one.
    (key,) = farm.keys("pi1")
    assert key.rpartition("-")[0] == bad.rpartition("-")[0]
    assert key.endswith("-2")


def test_a_package_that_isnt_followed_is_looked_up(farm: Farm, plan: Plan) -> None:
    with Server(Catalogue({"new": [File("new-1.0.tar.gz"), File("new-1.1.tar.gz")]})) as server:
        outcome = plan("new==1.0", url=server.url)
        assert outcome.queued == 1
        assert farm.states() == {"new 1.0": "pending"}
        assert farm.value("SELECT followed FROM projects") is False
        with pytest.raises(request.CannotBuildError, match="has no project nowhere"):
            plan("nowhere", url=server.url)


def test_a_package_that_isnt_followed_is_looked_up_again_each_time(farm: Farm, plan: Plan) -> None:
    catalogue = Catalogue({"new": [File("new-1.0.tar.gz")]})
    with Server(catalogue) as server:
        plan("new==1.0", url=server.url)
        farm.rows("UPDATE projects SET dirty_since = NULL, display_name = 'NeW'")
        catalogue.projects["new"] = [File("new-1.0.tar.gz", yanked="bad"), File("new-1.1.tar.gz")]
        versions = "SELECT version, yanked FROM versions ORDER BY version"
        assert plan("new==1.1", url=server.url, check=True).queued == 1
        assert farm.rows(versions) == [("1.0", False)]
        catalogue.accepted.clear()
        outcome = plan("new", "new==1.1", "new==1.0", url=server.url)
        assert len(catalogue.accepted) == 1
    assert outcome.queued == 1
    assert farm.states() == {"new 1.0": "pending", "new 1.1": "pending"}
    assert farm.rows(versions) == [("1.0", True), ("1.1", False)]
    assert farm.rows("SELECT display_name, followed, dirty_since FROM projects") == [
        ("NeW", False, farm.now)
    ]


def test_what_is_new_of_a_package_holds_though_it_cant_be_built(farm: Farm, plan: Plan) -> None:
    catalogue = Catalogue({"new": [File("new-1.0.tar.gz")]})
    with Server(catalogue) as server:
        plan("new", url=server.url)
        catalogue.projects["new"][0].yanked = "bad"
        with pytest.raises(request.CannotBuildError, match="has no version 2"):
            plan("new==2", url=server.url)
        assert farm.value("SELECT yanked FROM versions") is True
        catalogue.projects.clear()
        with pytest.raises(request.CannotBuildError, match="has no project new"):
            plan("new", url=server.url, check=True)
        assert farm.value("SELECT present FROM versions") is True
        with pytest.raises(request.CannotBuildError, match="has no project new"):
            plan("new", url=server.url)
    assert farm.value("SELECT present FROM versions") is False
    assert farm.states() == {"new 1.0": "skipped"}


def test_a_package_that_waits_gets_the_sdist_that_there_is_now(farm: Farm, plan: Plan) -> None:
    catalogue = Catalogue({"new": [File("new-1.0.tar.gz")]})
    with Server(catalogue) as server:
        plan("new", url=server.url)
        catalogue.projects["new"] = [File("new-1.0.zip")]
        assert plan("new", url=server.url).queued == 0
    assert farm.rows(
        "SELECT state, priority, filename FROM jobs JOIN upstream_files USING (upstream_file_id)"
    ) == [("pending", 100, "new-1.0.zip")]


WAITING = (
    "UPDATE jobs SET retry_at = %s, retry_reason = '404', fetch_failures = 7, network_failures = 6,"
    " other_file = true"
)
WAITS = "SELECT state, retry_at, fetch_failures, network_failures, other_file FROM jobs"


def test_a_package_that_waits_for_its_sdist_is_tried_at_once(farm: Farm, plan: Plan) -> None:
    farm.sync(upstream("demo", "1.0"))
    farm.rows("DELETE FROM jobs WHERE target_id = (SELECT max(target_id) FROM targets)")
    for _ in range(2):
        farm.rows(WAITING, farm.later(minutes=30))
        plan("demo")
        assert farm.rows(WAITS) == [("pending", None, 7, 6, True)]
    assert farm.value("SELECT priority FROM jobs") == 100


def test_a_job_that_is_queued_again_has_all_its_tries_again(farm: Farm, plan: Plan) -> None:
    catalogue = Catalogue({"new": [File("new-1.0.tar.gz")]})
    with Server(catalogue) as server:
        plan("new", url=server.url)
        farm.rows(WAITING, farm.later(minutes=30))
        catalogue.projects["new"] = [File("new-1.0.zip")]
        plan("new", url=server.url)
        assert farm.rows(WAITS) == [("pending", None, 0, 0, False)]
        farm.rows(WAITING, None)
        farm.rows(
            "UPDATE jobs SET state = 'failed', reason = '404', reason_code = 'sdist-unavailable',"
            " finished_at = now()"
        )
        plan("new", url=server.url)
    assert farm.rows(WAITS) == [("pending", None, 0, 0, False)]


def test_what_waits_for_an_sdist_that_is_gone_is_skipped(farm: Farm) -> None:
    farm.sync(upstream("demo", "1.0", "2.0"))
    farm.rows(WAITING, farm.later(minutes=30))
    farm.sync(upstream("demo", "2.0"))
    assert set(farm.states().items()) == {("demo 1.0", "skipped"), ("demo 2.0", "pending")}
    # What is still there goes on waiting.
    assert farm.rows("SELECT DISTINCT state, retry_at IS NULL FROM jobs ORDER BY 1") == [
        ("pending", False),
        ("skipped", True),
    ]


def test_odd_data_of_a_package_is_said_by_name(
    farm: Farm, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "_MAX_BYTES", 1 << 80)
    with (
        Server(Catalogue({"new": [File("new-1.0.tar.gz", size=1 << 70)]})) as server,
        pytest.raises(request.CannotBuildError, match="says of new can't be stored"),
    ):
        plan("new", url=server.url)
    assert farm.rows("SELECT * FROM projects") == []


def test_an_index_that_has_none_of_several_takes_none_off_the_site(farm: Farm, plan: Plan) -> None:
    names = ["a", "b"]
    catalogue = Catalogue({name: [File(f"{name}-1.0.tar.gz")] for name in names})
    with Server(catalogue) as server:
        plan(*names, url=server.url)
        catalogue.projects.clear()
        with pytest.raises(request.CannotBuildError, match="has no project a"):
            plan(*names, url=server.url)
    assert farm.rows("SELECT DISTINCT present FROM versions") == [(True,)]
    assert set(farm.states().values()) == {"pending"}


def test_what_cant_be_built_is_said_by_name_and_queues_nothing(farm: Farm, plan: Plan) -> None:
    farm.sync(upstream("demo", "1.0"))
    farm.sync(upstream("wheels", "1.0", kind="wheel", filename="wheels-1.0-py3-none-any.whl"))
    farm.sync(upstream("young", "1.0", requires_python=">=3.12"))
    before = farm.rows("SELECT * FROM jobs")
    expected = {
        "demo==9": "demo has no version 9 .the newest are 1.0.",
        "wheels==1.0": "wheels 1.0 has no sdist.*wheels-1.0-py3-none-any.whl",
        "wheels": "wheels has no version that can be built",
        "young": "young needs Python >=3.12, and bookworm has 3.11",
        "young==1.0": "young 1.0 needs Python >=3.12",
        "demo>=1": "neither NAME nor NAME==VERSION",
        "demo==1.*": "many versions",
        "-": "neither NAME nor NAME==VERSION",
    }
    for package, message in expected.items():
        with pytest.raises(Exception, match=message):
            plan("demo", package)
    assert farm.rows("SELECT * FROM jobs") == before


def test_all_that_cant_be_built_is_named_at_once(farm: Farm, plan: Plan) -> None:
    farm.sync(upstream("demo", "1.0"))
    catalogue = Catalogue(
        {"odd": [File("odd-1.0.tar.gz", upload_time="x")], "good": [File("good-1.0.tar.gz")]},
        answers={"login": LOGIN_PAGE, "empty": Answer(status=403)},
    )
    packages = ["demo", "demo==9", "-", "nowhere", "nowhere==1", "odd", "login", "empty", "good"]
    with Server(catalogue) as server, pytest.raises(request.CannotBuildError) as raised:
        plan(*packages, url=server.url)
    first, *lines = str(raised.value).splitlines()
    assert first == "nothing is queued, as some of it can't be built:"
    assert [line[2:40] for line in lines] == [
        line[2:40]
        for line in (
            "- '-' is neither NAME nor NAME==VERSION",
            f"- the index {server.url} has no project nowhere",
            f"- the index {server.url} answers for odd",
            f"- the index {server.url} answers for login",
            f"- the index {server.url} can't be read for empty",
            "- demo has no version 9 (the newest are 1.0)",
        )
    ]
    assert set(farm.states().values()) == {"pending"}
    assert farm.value("SELECT max(priority) FROM jobs") == 0


def test_a_zip_is_built_where_there_is_nothing_better(farm: Farm) -> None:
    zipped = sdist("demo", "1.0", filename="demo-1.0.zip", url="https://files.example/z")
    both = model.UpstreamVersion("1.0", (zipped, sdist("demo", "1.0")))
    alone = model.UpstreamVersion("1.0", (zipped,))
    farm.sync(model.UpstreamProject("demo", (alone,)))
    chosen = "SELECT filename FROM jobs JOIN upstream_files USING (upstream_file_id)"
    assert farm.value(chosen) == "demo-1.0.zip"
    # A better one comes before the job is taken.
    farm.sync(model.UpstreamProject("demo", (both,)))
    assert farm.value(chosen) == "demo-1.0.tar.gz"
