"""A wheel gets a name that nobody has, and that only those install whom it serves."""

from __future__ import annotations

import zipfile

import psycopg2.errors
import pytest
from packaging.tags import parse_tag
from packaging.utils import parse_wheel_filename

from master.targets.tags import serves
from tests.support.farm import Farm, upstream
from tests.support.wheels import BOOKWORM, PURE, Forge, elf, linked, unpacked

# As a project for boards of many kinds has them.
HELPERS = {"demo/pulse": elf(), "demo/pulse64": elf(bits=64, machine=183, flags=0)}


def test_a_taken_name_gets_a_build_tag_and_its_bytes_never_change(farm: Farm, key: str) -> None:
    farm.send("pi1", key, Forge())
    first = farm.config.store / "demo" / farm.record(key).filename
    published = first.read_bytes()
    for attempt in (2, 3):
        farm.rows("UPDATE jobs SET state = 'pending', finished_at = NULL")
        (again,) = farm.keys("pi1")
        assert again.endswith(f"-{attempt}")
        farm.send("pi1", again, Forge(files={"demo.py": b"other", "x.so": b""}))
        assert farm.record(again).filename == (
            f"demo-1.0-{attempt - 1}-cp311-cp311-linux_armv7l.whl"
        )
    assert first.name == "demo-1.0-cp311-cp311-linux_armv7l.whl"
    assert first.read_bytes() == published
    with zipfile.ZipFile(first.with_name("demo-1.0-2-cp311-cp311-linux_armv7l.whl")) as wheel:
        assert "Build: 2" in wheel.read("demo-1.0.dist-info/WHEEL").decode()
        assert wheel.read("demo.py") == b"other"
    assert farm.differences() == ["built twice: (1,)"]


def test_a_wheel_serves_armv6_where_its_release_promises_and_its_code_proves_it(
    farm: Farm, key: str
) -> None:
    farm.rows("UPDATE targets SET armv6 = true WHERE name = 'bookworm'")
    v7 = "demo/_c.so has Tag_CPU_arch: v7"
    for code, name, says in (
        ("v7", "demo-1.0-cp311-cp311-linux_armv7l.whl", v7),
        # The compiler was put right: pip prefers the build tag.
        ("v6", "demo-1.0-1-cp311-cp311-linux_armv6l.linux_armv7l.whl", None),
        ("v6", "demo-1.0-2-cp311-cp311-linux_armv6l.linux_armv7l.whl", None),
        ("v7", "demo-1.0-3-cp311-cp311-linux_armv7l.whl", v7),
    ):
        farm.send("pi1", key, Forge(files={"demo/_c.so": linked(code)}))
        assert farm.record(key).filename == name
        assert farm.value("SELECT not_armv6 FROM files WHERE filename = %s", name) == says
        assert serves(parse_wheel_filename(name)[3], BOOKWORM)
        farm.rows("UPDATE jobs SET state = 'pending', finished_at = NULL")
        (key,) = farm.keys("pi1")
    with pytest.raises(psycopg2.errors.CheckViolation):
        farm.rows("UPDATE files SET not_armv6 = 'why'")


def test_a_name_that_a_restored_database_forgot_is_taken_all_the_same(farm: Farm, key: str) -> None:
    """Its wheel was published after the backup, and may be in anyone's cache."""
    farm.send("pi1", key, Forge())
    name = farm.record(key).filename
    published = (farm.config.store / "demo" / name).read_bytes()
    for table in ("file_dependencies", "files", "build_logs", "builds"):
        farm.rows(f"DELETE FROM {table}")
    farm.rows("UPDATE jobs SET state = 'pending', attempt = 0, finished_at = NULL")
    assert farm.keys("pi1") == [key]
    farm.send("pi1", key, Forge(files={"demo.py": b"other", "x.so": b""}))
    assert farm.record(key).filename == "demo-1.0-1-cp311-cp311-linux_armv7l.whl"
    assert (farm.config.store / "demo" / name).read_bytes() == published
    assert sorted(farm.differences()) == [
        f"demo/{name} is in the store and not recorded",
        f"demo/{name}.metadata is in the store and not recorded",
    ]


def test_two_targets_that_build_the_same_pure_wheel_keep_the_first(farm: Farm) -> None:
    farm.sync(upstream("demo", "1.0"))
    handouts = farm.claim({"pi1": "bookworm", "pi3": "trixie"})
    for builder in ("pi1", "pi3"):
        farm.send(builder, handouts[builder].leased[0], PURE)
    first, second = (
        farm.record(handouts[builder].leased[0], builder) for builder in ("pi1", "pi3")
    )
    assert first.filename == "demo-1.0-py3-none-any.whl"
    assert (second.status, second.filename) == ("skipped", None)
    assert second.reason == "built, and the same as demo-1.0-py3-none-any.whl"
    assert farm.states("trixie") == {"demo 1.0": "skipped"}
    assert not list(farm.config.incoming.glob("*/*"))
    assert farm.differences() == []


def test_a_pure_wheel_is_not_wanted_twice_by_a_job_that_was_given_back(farm: Farm) -> None:
    farm.sync(upstream("demo", "1.0"))
    handouts = farm.claim({"pi1": "bookworm", "pi3": "trixie"})
    farm.send("pi1", handouts["pi1"].leased[0], PURE)
    farm.record(handouts["pi1"].leased[0])
    farm.later(minutes=5)
    # Trixie's was handed out before there was the other's, and then its Pi was taken away.
    (again,) = farm.keys("pi4", {"pi1": "bookworm", "pi4": "trixie"})
    farm.send("pi4", again, PURE)
    assert farm.record(again, "pi4").reason == ("built, and the same as demo-1.0-py3-none-any.whl")


@pytest.mark.parametrize(
    ("tag", "own"),
    [
        ("cp36-abi3-linux_armv7l", "cp313-abi3-linux_armv7l"),
        ("py3-none-linux_armv7l", "cp313-none-linux_armv7l"),
        ("py2.py3-none-linux_armv7l", "cp313-none-linux_armv7l"),
        ("py3-none-any", "cp313-none-any"),
    ],
)
@pytest.mark.parametrize("order", [("pi1", "pi3"), ("pi3", "pi1")], ids=["older", "newer"])
def test_a_wheel_with_a_library_is_offered_to_no_older_release(
    farm: Farm, tag: str, own: str, order: tuple[str, ...]
) -> None:
    farm.sync(upstream("demo", "1.0"))
    handouts = farm.claim({"pi1": "bookworm", "pi3": "trixie"})
    for builder in order:
        farm.send(builder, handouts[builder].leased[0], Forge(tag=tag))
        expected = {"pi1": f"demo-1.0-{tag}.whl", "pi3": f"demo-1.0-{own}.whl"}[builder]
        assert farm.record(handouts[builder].leased[0], builder).filename == expected
    with zipfile.ZipFile(farm.config.store / "demo" / f"demo-1.0-{own}.whl") as wheel:
        text = wheel.read("demo-1.0.dist-info/WHEEL").decode()
        assert [line for line in text.splitlines() if line.startswith("Tag: ")] == [f"Tag: {own}"]
    assert not serves(parse_tag(own), BOOKWORM)
    # The older one's own, which serves both, keeps its tags.
    assert unpacked(farm.config.store / "demo" / f"demo-1.0-{tag}.whl") == (
        Forge(tag=tag).contents()
    )
    assert farm.differences() == []


def test_a_wheel_for_all_that_carries_programs_keeps_its_tags(farm: Farm) -> None:
    farm.sync(upstream("demo", "1.0"))
    key = farm.claim({"pi1": "bookworm", "pi3": "trixie"})["pi3"].leased[0]
    forge = Forge(tag="py3-none-any", files=HELPERS)
    farm.send("pi3", key, forge, apt_packages=["libgpiod3"])
    name = farm.record(key, "pi3").filename
    assert name == "demo-1.0-py3-none-any.whl"
    assert unpacked(farm.config.store / "demo" / name) == forge.contents()
    assert farm.value("SELECT serves_every_platform FROM files")
    # Trixie's package isn't another release's.
    assert farm.rows("SELECT dependency FROM file_dependencies WHERE tool = 'apt'") == []


def test_a_wheel_is_not_offered_to_a_release_that_is_no_longer_built_for(farm: Farm) -> None:
    farm.rows("UPDATE targets SET active = false WHERE name = 'bookworm'")
    farm.targets = [target for target in farm.targets if target.name == "trixie"]
    farm.sync(upstream("demo", "1.0"))
    for expected in ("demo-1.0-7-cp313-abi3-{}", "demo-1.0-1-cp313-abi3-{}"):
        (key,) = farm.keys("pi3", {"pi3": "trixie"})
        farm.send("pi3", key, Forge(tag="cp36-abi3-linux_armv7l", build="7"))
        assert farm.record(key, "pi3").filename == expected.format("linux_armv7l.whl")
        farm.rows("UPDATE jobs SET state = 'pending', finished_at = NULL")


def test_a_pure_wheel_that_is_built_anew_gets_a_build_tag_all_the_same(farm: Farm) -> None:
    farm.sync(upstream("demo", "1.0"))
    for expected in ("demo-1.0-py3-none-any.whl", "demo-1.0-1-py3-none-any.whl"):
        farm.rows(
            "UPDATE jobs SET state = 'pending', finished_at = NULL, reason = NULL,"
            " reason_code = NULL, covered_by = NULL, queued_at = %s",
            farm.now,
        )
        (key,) = farm.keys("pi1", {"pi1": "bookworm"})
        farm.send("pi1", key, PURE)
        assert farm.record(key).filename == expected
        farm.later(minutes=5)


def test_a_wheel_with_a_library_is_kept_beside_a_pure_one(farm: Farm) -> None:
    farm.sync(upstream("demo", "1.0"))
    handouts = farm.claim({"pi1": "bookworm", "pi3": "trixie"})
    own = Forge(tag="cp313-cp313-linux_armv7l")
    for builder, forge in (("pi1", PURE), ("pi3", own)):
        farm.send(builder, handouts[builder].leased[0], forge)
        assert farm.record(handouts[builder].leased[0], builder).status == "built"
    assert farm.differences() == []


def test_a_wheel_for_all_takes_the_version_out_of_other_queues(farm: Farm, key: str) -> None:
    farm.send("pi1", key, PURE)
    farm.record(key)
    assert farm.states("trixie") == {"demo 1.0": "skipped"}
    assert farm.value("SELECT reason FROM jobs WHERE state = 'skipped'") == (
        "covered by demo-1.0-py3-none-any.whl"
    )
    # And a sync doesn't bring it back, nor queue it for a target to come.
    farm.sync(upstream("demo", "1.0"))
    assert farm.states("trixie") == {"demo 1.0": "skipped"}
    farm.rows("DELETE FROM jobs WHERE state = 'skipped'")
    farm.sync(upstream("demo", "1.0"))
    assert farm.states("trixie") == {"demo 1.0": "skipped"}


@pytest.mark.parametrize(
    "forge",
    [Forge(), Forge(tag="cp311-none-any", files={"demo.py": b""}), Forge(tag="py3-none-any")],
    ids=["for its own ABI", "for its own Python", "for all, with a library"],
)
def test_a_wheel_that_serves_its_own_target_takes_nothing_from_others(
    farm: Farm, key: str, forge: Forge
) -> None:
    farm.send("pi1", key, forge)
    assert farm.record(key).status == "built"
    farm.sync(upstream("demo", "1.0"))
    assert farm.states("trixie") == {"demo 1.0": "pending"}
