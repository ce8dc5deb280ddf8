"""A result is read back as it was written, and what can't be right of it is left out or refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from protocol import VERSION, MessageError, NewerError, result
from protocol.result import Result, UnitResult, WheelFile

NOW = datetime(2026, 11, 21, 12, 0, 1, 500000, tzinfo=UTC)
WHEEL = WheelFile("demo-1.0-py3-none-any.whl", 5, "0" * 64)
BUILT = Result("bookworm-12-1", "built", None, NOW, NOW, 1.5, WHEEL, ("libc6",))
FAILED = Result("bookworm-12-1", "failed", "404", None, NOW, 0.0, fetch=result.MISSING)
ENDED = Result(
    "bookworm-12-1", "failed", None, NOW, NOW, 1.5, unit=UnitResult("signal", 9), timeout_s=600
)
DOCUMENT = json.loads(json.dumps(result.dump(BUILT)))


@pytest.mark.parametrize("sent", [BUILT, FAILED, ENDED], ids=["built", "failed", "ended"])
def test_a_result_survives_its_file_and_says_its_version(sent: Result) -> None:
    document = json.loads(json.dumps(result.dump(sent)))
    assert document["protocol"] == VERSION
    assert result.parse(document) == sent


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"key": "../x"}, "is not a valid job key"),
        ({"status": ["built"]}, "status is missing"),
        ({"status": "great"}, "status is neither"),
        ({"wheel": None}, "wheel is not an object"),
        ({"wheel": {"filename": "../x", "size_bytes": 1, "sha256": "0" * 64}}, "the wheel's name"),
        ({"wheel": {"filename": "x", "size_bytes": True, "sha256": "0" * 64}}, "its size"),
        ({"wheel": {"filename": "x", "size_bytes": 1, "sha256": "x"}}, "the wheel's SHA-256"),
        ({"apt_packages": "libc6"}, "apt_packages is not a list"),
        ({"status": "failed", "unit": "signal"}, "unit is not an object"),
        ({"status": "failed", "unit": {"result": "signal"}}, "its exit status"),
        ({"status": "failed", "unit": {"exit_status": 9}}, "its result is missing"),
        ({"timeout_s": "long"}, "timeout_s is not a valid number"),
        ({"protocol": 2.0}, "protocol is not a valid number"),
    ],
)
def test_a_result_that_is_not_as_agreed_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(MessageError, match=says):
        result.parse({**DOCUMENT, **change})


def test_a_result_of_a_later_version_has_to_wait() -> None:
    with pytest.raises(NewerError, match=r"run ansible-playbook site\.yml for the master"):
        result.parse({**DOCUMENT, "protocol": VERSION + 1})


@pytest.mark.parametrize(
    ("change", "name", "believed"),
    [
        ({"started_at": "yesterday"}, "started_at", None),
        ({"duration_s": -1}, "duration_s", None),
        ({"duration_s": 10**400}, "duration_s", None),
        ({"apt_packages": ["libc6", "--evil", 7]}, "apt_packages", ("libc6",)),
        ({"fetch": "network"}, "fetch", None),
        ({"status": "failed", "fetch": "evil"}, "fetch", None),
        ({"status": "failed", "reason": "no\n\0 such"}, "reason", "no such"),
        ({"unit": {"result": "signal", "exit_status": 9}}, "unit", None),
        ({"status": "failed", "reason": "x", "unit": 7}, "unit", None),
        ({"status": "failed", "reason": ""}, "reason", "no reason given"),
    ],
)
def test_what_cant_be_right_of_a_result_is_left_out(
    change: dict[str, Any], name: str, believed: object
) -> None:
    assert getattr(result.parse({**DOCUMENT, **change}), name) == believed
