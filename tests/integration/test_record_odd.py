"""Odd and hostile wheels fail alone: none holds up those behind it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from master.results import record, verify
from tests.support.farm import Farm, said, upstream
from tests.support.wheels import Forge, digest, elf


def metadata(*lines: str) -> str:
    return "\n".join(["Metadata-Version: 2.1", "Name: demo", "Version: 1.0", *lines, "", ""])


def wheel_file(*tags: str) -> str:
    tags = ("cp311-cp311-linux_armv7l", *tags)
    return "Wheel-Version: 1.0\n" + "".join(f"Tag: {tag}\n" for tag in tags)


COMPRESSED = ".".join(f"a{n}" for n in range(3000))


@pytest.mark.parametrize(
    ("forge", "reason"),
    [
        (Forge(wheel_file=wheel_file("py3--any")), "can't be understood: InvalidTag"),
        (
            Forge(wheel_file=wheel_file("-".join([COMPRESSED] * 3))),
            "can't be understood: TooManyTagsError",
        ),
        (Forge(metadata=metadata(f"Version: {'1' * 5000}")), "version twice"),
        (
            Forge(metadata=f"Metadata-Version: 2.1\nName: demo\nVersion: {'1' * 5000}\n\n"),
            "can't be understood: ValueError",
        ),
    ],
    ids=["broken tag", "a million tags", "two versions", "a long number"],
)
def test_an_odd_wheel_fails_alone(farm: Farm, key: str, forge: Forge, reason: str) -> None:
    odd_and_honest(farm, key, forge)
    assert reason in farm.value("SELECT reason FROM jobs WHERE state = 'failed'")


@pytest.mark.parametrize(
    "lines",
    [
        [f"Requires-Dist: {'a' * 201}"],
        ["Requires-Dist: a; " + "(" * 2000 + "x" + ")" * 2000],
        ["Requires-Python: ===a\0b"],
        [f"Requires-Python: >={'1' * 5000}"],
    ],
    ids=["a long dependency", "a deep marker", "a NUL", "a long number"],
)
def test_what_the_database_cant_hold_is_left_out(farm: Farm, key: str, lines: list[str]) -> None:
    odd_and_honest(farm, key, Forge(metadata=metadata(*lines)))
    assert farm.value("SELECT count(*) FROM files WHERE requires_python IS NOT NULL") == 1
    assert farm.value("SELECT count(*) FROM file_dependencies WHERE tool = 'pip'") == 1


def odd_and_honest(farm: Farm, key: str, odd: Forge) -> None:
    """Both come back in one round, the odd one first; nothing is left of either."""
    farm.sync(upstream("honest", "1.0"))
    handouts = farm.claim({"pi1": "bookworm", "pi2": "bookworm"})
    (other,) = handouts["pi2"].leased
    farm.send("pi1", key, odd)
    farm.send("pi2", other, Forge(project="honest"))
    gathered = farm.gather(pi1=said(done=[key]), pi2=said(done=[other]))
    assert not gathered.refused
    assert [one.filename for one in gathered.recorded][1:] == [
        "honest-1.0-cp311-cp311-linux_armv7l.whl"
    ]
    assert farm.differences() == []


def test_a_name_that_would_be_too_long_for_the_disk_is_refused(farm: Farm) -> None:
    version = "1.0" + ".0" * 95
    farm.sync(upstream("demo", version))
    (key,) = farm.keys("pi1", {"pi1": "bookworm"})
    farm.send("pi1", key, Forge())
    assert "its name has 2" in farm.record(key).reason
    assert farm.differences() == []


@pytest.mark.parametrize(
    "again",
    [
        Forge(info="Demo-1.0.dist-info"),
        Forge(info="demo-1.0.0.dist-info"),
        Forge(build="7"),
    ],
    ids=["its author's capitals", "its author's version", "its author's build tag"],
)
def test_a_wheel_as_its_author_spells_it_gets_a_build_tag(
    farm: Farm, key: str, again: Forge
) -> None:
    farm.send("pi1", key, Forge())
    farm.record(key)
    farm.rows("UPDATE jobs SET state = 'pending', finished_at = NULL")
    (key,) = farm.keys("pi1")
    farm.rows("UPDATE files SET filename = %s", again.filename)
    farm.send("pi1", key, again)
    assert farm.record(key).filename == "demo-1.0-1-cp311-cp311-linux_armv7l.whl"


def test_a_build_tag_that_cant_be_given_fails_its_build_alone(
    farm: Farm, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "MAX_BUILD_TAGS", 1)
    farm.send("pi1", key, Forge())
    farm.record(key)
    farm.rows("UPDATE jobs SET state = 'pending', finished_at = NULL")
    (key,) = farm.keys("pi1")
    farm.send("pi1", key, Forge())
    assert farm.record(key).reason == (
        "wheel refused: demo-1.0-cp311-cp311-linux_armv7l.whl has been built 1 times"
    )
    assert farm.differences() == []


def test_contents_that_lie_fail_their_build_alone_with_nothing_left(farm: Farm, key: str) -> None:
    """That is found out when half of the wheel is written."""
    swapped = Forge(record=lambda text: text.replace(digest(elf()), digest(b"other")))
    odd_and_honest(farm, key, swapped)
    assert farm.value("SELECT reason FROM jobs WHERE state = 'failed'") == (
        "wheel refused: 'demo/_c.so' has another hash in its RECORD"
    )
    assert list(farm.config.intents.iterdir()) == []


def test_trouble_of_an_unknown_kind_holds_up_nothing_else(
    farm: Farm, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm.sync(upstream("honest", "1.0"))
    (other,) = farm.claim({"pi1": "bookworm", "pi2": "bookworm"})["pi2"].leased
    farm.send("pi1", key, Forge())
    farm.send("pi2", other, Forge(project="honest"))
    real = verify.opened

    def breaks(path: Path, expected: verify.Expected) -> AbstractContextManager[verify.Wheel]:
        if expected.project == "demo":
            raise AssertionError("never seen before")
        return real(path, expected)

    monkeypatch.setattr(verify, "opened", breaks)
    gathered = farm.gather(pi1=said(done=[key]), pi2=said(done=[other]))
    assert [one.key for one in gathered.recorded] == [other]
    assert [(one.key, one.reason) for one in gathered.refused] == [
        (key, "it can't be recorded: AssertionError: never seen before")
    ]
