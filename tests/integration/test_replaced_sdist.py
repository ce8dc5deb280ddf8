"""A wheel is offered for as long as the index has the sdist that it was made from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from master.database import connection as db
from master.jobs import request
from master.site import queries
from master.upstream import model, named, pypi
from master.upstream.model import UpstreamProject
from tests.support.farm import Farm, said, sdist, upstream
from tests.support.index import Catalogue, File, Server
from tests.support.wheels import PURE, Forge

WHEEL = "demo-1.0-cp311-cp311-linux_armv7l.whl"
SECOND = "demo-1.0-1-cp311-cp311-linux_armv7l.whl"
FLEET = {"pi1": "bookworm"}

OLD = upstream("demo", "1.0")
# The same name with other bytes, and another name.
OTHER_BYTES = upstream("demo", "1.0", sha256="b" * 64)
OTHER_NAME = UpstreamProject(
    "demo",
    (model.UpstreamVersion("1.0", (sdist("demo", "1.0", filename="demo-1.0.zip"),)),),
)


def build(farm: Farm, forge: Forge | None = None) -> str:
    """Claims the one job for bookworm, and sends its wheel or its failure; its key."""
    (key,) = farm.keys("pi1", FLEET)
    farm.send("pi1", key, forge)
    farm.gather(pi1=said(done=[key]))
    return key


def offered(farm: Farm) -> list[str]:
    with farm.connect("site") as conn, conn.cursor() as cursor:
        project = queries.projects(cursor, ["demo"])["demo"]
    return [wheel.filename for version in project.offered for wheel in version.offered]


def test_a_build_notes_the_sdist_that_its_builder_was_given(farm: Farm) -> None:
    farm.sync(OLD)
    (key,) = farm.keys("pi1", FLEET)
    # Replaced while it is built.
    farm.sync(OTHER_BYTES)
    (job,) = farm.claim()["pi1"].jobs
    old = OLD.versions[0].files[0].sha256
    assert job["sdist"]["sha256"] == old
    farm.send("pi1", key, Forge())
    farm.gather(pi1=said(done=[key]))
    assert farm.rows("SELECT sdist_filename, sdist_sha256 FROM builds") == [
        ("demo-1.0.tar.gz", old)
    ]
    # The next sync sees that it was.
    assert farm.sync(OTHER_BYTES).queued == 1
    assert farm.states()["demo 1.0"] == "pending"


@pytest.mark.parametrize("new", [OTHER_BYTES, OTHER_NAME], ids=["other bytes", "other name"])
def test_a_replaced_sdist_is_built_and_the_old_wheel_not_offered(
    farm: Farm, new: UpstreamProject
) -> None:
    farm.sync(OLD)
    build(farm, Forge())
    assert not farm.sync(OLD).changed
    assert offered(farm) == [WHEEL]
    farm.later(hours=1)
    synced = farm.sync(new)
    assert (synced.changed, synced.queued, synced.lost) == (True, 1, 1)
    assert offered(farm) == []
    assert farm.rows("SELECT filename, withdrawn_at FROM files") == [(WHEEL, farm.now)]
    assert farm.value("SELECT dirty_since FROM projects") == farm.now
    (key,) = farm.keys("pi1")
    (job,) = farm.claim()["pi1"].jobs
    (file,) = new.versions[0].files
    assert (job["sdist"]["filename"], job["sdist"]["sha256"]) == (file.filename, file.sha256)
    farm.send("pi1", key, Forge())
    farm.gather(pi1=said(done=[key]))
    # The name of the first was published, and stays its own.
    assert offered(farm) == [SECOND]
    assert (farm.config.store / "demo" / WHEEL).exists()
    again = farm.sync(new)
    assert (again.changed, again.queued) == (False, 0)


def test_a_failed_job_whose_sdist_was_replaced_is_queued_again(farm: Farm) -> None:
    farm.sync(OLD)
    build(farm)
    assert farm.states()["demo 1.0"] == "failed"
    assert farm.sync(OLD).queued == 0
    assert farm.sync(OTHER_BYTES).queued == 1
    assert farm.states()["demo 1.0"] == "pending"
    build(farm)
    assert farm.sync(OTHER_BYTES).queued == 0
    assert farm.states()["demo 1.0"] == "failed"


def test_a_job_that_its_builder_lost_is_queued_again_for_another_sdist(farm: Farm) -> None:
    farm.sync(OLD)
    for _ in range(3):
        (key,) = farm.keys("pi1", FLEET)
        farm.gather(pi1=said(queued=[key]))
        farm.gather(pi1=said())
    assert farm.states()["demo 1.0"] == "failed"
    assert farm.sync(OLD).queued == 0
    assert farm.sync(OTHER_BYTES).queued == 1


def test_another_sdist_beside_the_old_one_changes_nothing(farm: Farm) -> None:
    zipped = UpstreamProject("demo", OTHER_NAME.versions)
    farm.sync(zipped)
    build(farm, Forge())
    both = model.UpstreamVersion("1.0", (*OLD.versions[0].files, *zipped.versions[0].files))
    assert farm.sync(UpstreamProject("demo", (both,))).queued == 0
    assert offered(farm) == [WHEEL]


def test_a_deleted_sdist_without_another_leaves_the_wheel(farm: Farm) -> None:
    farm.sync(OLD)
    build(farm, Forge())
    wheel = sdist("demo", "1.0", kind="wheel", filename="demo-1.0-py3-none-any.whl")
    alone = UpstreamProject("demo", (model.UpstreamVersion("1.0", (wheel,)),))
    assert farm.sync(alone).lost == 0
    assert offered(farm) == [WHEEL]
    assert farm.states()["demo 1.0"] == "built"


def test_an_sdist_that_comes_back_brings_its_wheel_back(farm: Farm) -> None:
    farm.sync(OLD)
    build(farm, Forge())
    farm.sync(OTHER_BYTES)
    assert offered(farm) == []
    farm.sync(OLD)
    assert offered(farm) == [WHEEL]


def test_a_withdrawn_wheel_covers_no_other_target(farm: Farm) -> None:
    farm.sync(OLD)
    build(farm, PURE)
    assert farm.states("trixie")["demo 1.0"] == "skipped"
    assert farm.sync(OTHER_BYTES).queued == 2
    assert farm.states("trixie")["demo 1.0"] == "pending"


def test_what_is_asked_for_by_name_is_built_from_the_new_sdist(farm: Farm) -> None:
    farm.sync(OLD)
    build(farm, Forge())
    # As a sync leaves it that plans for no target.
    farm.sync(OTHER_BYTES, targets=[])
    with farm.connect("sync") as conn, db.transaction(conn) as cursor:
        outcome = request.queue(cursor, ["demo"], {}, farm.targets[:1], farm.now)
    assert (outcome.queued, outcome.already_built) == (1, [])
    assert farm.states()["demo 1.0"] == "pending"


def test_what_was_published_is_rebuilt_though_the_settings_want_it_no_longer(farm: Farm) -> None:
    both = upstream("demo", "1.0", "2.0")
    farm.sync(OLD, newest=1)
    build(farm, Forge())
    farm.sync(both, newest=1)
    new = UpstreamProject("demo", (*OTHER_BYTES.versions, both.versions[1]))
    assert farm.sync(new, newest=1).queued == 1
    assert farm.states()["demo 1.0"] == "pending"
    assert farm.sync(new, newest=1).queued == 0
    assert farm.states()["demo 1.0"] == "pending"


def test_a_retired_target_keeps_its_wheels(farm: Farm) -> None:
    farm.sync(OLD)
    build(farm, Forge())
    farm.rows("UPDATE targets SET active = false WHERE name = 'bookworm'")
    farm.targets = [target for target in farm.targets if target.name != "bookworm"]
    farm.sync(OTHER_BYTES)
    assert offered(farm) == [WHEEL]


def test_a_project_that_no_sync_reads_is_rebuilt_by_who_looks_it_up(farm: Farm) -> None:
    catalogue = Catalogue({"demo": [File("demo-1.0.tar.gz"), File("demo-2.0.tar.gz")]})
    with Server(catalogue) as server, pypi.Index(server.url, "x") as index:

        def ask(package: str) -> None:
            with farm.connect("sync") as conn:
                named.projects(conn, index, ["demo"], targets=farm.targets, now=farm.now)
                with db.transaction(conn) as cursor:
                    request.queue(cursor, [package], {}, farm.targets[:1], farm.now)

        ask("demo==1.0")
        build(farm, Forge())
        catalogue.projects["demo"][0].sha256 = "b" * 64
        ask("demo==2.0")
    assert farm.states() == {"demo 1.0": "pending", "demo 2.0": "pending"}
    assert offered(farm) == []


def test_another_sdist_is_fetched_with_a_count_of_its_own(farm: Farm) -> None:
    farm.sync(OLD)
    (key,) = farm.keys("pi1", FLEET)
    farm.send("pi1", key, fetch="other-file")
    farm.gather(pi1=said(done=[key]))
    assert farm.rows("SELECT other_file, fetch_failures FROM jobs WHERE fetch_failures > 0") == [
        (True, 1)
    ]
    farm.sync(OTHER_BYTES)
    assert farm.value("SELECT count(*) FROM jobs WHERE other_file OR retry_at IS NOT NULL") == 0


# A pure wheel where a compiled one could be


def pure(farm: Farm) -> dict[str, str]:
    """Return the states for trixie after bookworm has made a pure wheel."""
    build(farm, PURE)
    return farm.states("trixie")


def with_wheel(filename: str) -> UpstreamProject:
    wheel = sdist("demo", "1.0", kind="wheel", filename=filename, sha256="c" * 64)
    files = (*OLD.versions[0].files, wheel)
    return replace(OLD, versions=(model.UpstreamVersion("1.0", files),))


def test_a_pure_wheel_covers_the_other_targets(farm: Farm) -> None:
    farm.sync(with_wheel("demo-1.0-py2.py3-none-any.whl"))
    assert pure(farm) == {"demo 1.0": "skipped"}


def test_a_project_with_platform_wheels_on_the_index_is_built_for_each_target(farm: Farm) -> None:
    project = with_wheel("demo-1.0-cp313-cp313-win_amd64.whl")
    farm.sync(project)
    assert pure(farm) == {"demo 1.0": "pending"}
    assert farm.states("trixie") == {"demo 1.0": "pending"}


def test_a_project_that_made_a_platform_wheel_here_is_built_for_each_target(farm: Farm) -> None:
    farm.sync(upstream("demo", "0.9"))
    (key,) = farm.keys("pi1", FLEET)
    farm.send("pi1", key, Forge(version="0.9"))
    farm.gather(pi1=said(done=[key]))
    farm.sync(upstream("demo", "0.9", "1.0"))
    assert pure(farm)["demo 1.0"] == "pending"


def test_a_lease_that_was_given_back_is_no_trial(farm: Farm) -> None:
    farm.sync(OLD)
    fleet = {**FLEET, "pi3": "trixie"}
    farm.keys("pi3", fleet)
    farm.gather(pi3=said(refuses="its disk is full"))
    assert pure(farm) == {"demo 1.0": "skipped"}
    assert farm.sync(with_wheel("demo-1.0-cp313-cp313-win_amd64.whl")).queued == 1
    assert farm.states("trixie") == {"demo 1.0": "pending"}


def test_what_was_covered_is_built_once_the_project_is_known_to_be_compiled(farm: Farm) -> None:
    farm.sync(OLD)
    assert pure(farm) == {"demo 1.0": "skipped"}
    known = with_wheel("demo-1.0-cp39-abi3-manylinux_2_17_x86_64.whl")
    assert farm.sync(known).queued == 1
    # It makes the same pure wheel there, which is dropped, and isn't tried for ever.
    (key,) = farm.keys("pi3", {**FLEET, "pi3": "trixie"})
    farm.send("pi3", key, PURE)
    farm.rows("UPDATE jobs SET queued_at = %s", farm.now.replace(year=2000))
    farm.gather(pi3=said(done=[key]))
    assert farm.states("trixie") == {"demo 1.0": "skipped"}
    assert farm.sync(known).queued == 0
