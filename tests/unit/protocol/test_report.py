"""A report is bounded and read strictly: it is as agreed, or it is none."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from protocol import VERSION, MessageError, report
from protocol.key import Key
from protocol.report import Report, Rootfs, Running

QUEUED, RUNNING, DONE = (Key("bookworm", number, 1) for number in (1, 2, 3))
STARTED = datetime(2026, 11, 21, tzinfo=UTC)
ROOTFS = Rootfs("0a" * 32, STARTED, failed=True)
SENT = Report(
    *((QUEUED,), (Running(RUNNING, STARTED),), (DONE,), "no room", 17, "active", "0.1.0", ROOTFS)
)
OF_VERSION_1 = """{"queued": ["bookworm-1-1"], "running": [{"key": "bookworm-2-1",
"project": "demo", "version": "1.0", "started_at": "2025-11-28T00:33:20.250000+00:00"}],
"done": ["bookworm-3-1"], "free_bytes": 77827756032, "refuses": null, "service": "active",
"version": "0.1.0"}"""


def test_a_report_survives_its_way_and_says_its_version() -> None:
    document = json.loads(json.dumps(report.dump(SENT)))
    assert document["protocol"] == VERSION
    assert report.parse(document) == SENT


def test_a_report_says_what_the_spool_holds() -> None:
    assert SENT.started == {RUNNING, DONE}
    assert SENT.holds == {QUEUED, RUNNING, DONE}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"queued": "all"}, "queued is not a list"),
        ({"queued": ["bookworm-1-1"] * 1001}, "at most 1000"),
        ({"queued": [["bookworm-1-1"]]}, "is not a valid job key"),
        ({"running": ["bookworm-1-1"]}, "what is running is not an object"),
        ({"running": [{"key": "../x"}]}, "is not a valid job key"),
        ({"done": None}, "done is not a list"),
        ({"refuses": {"deep": "reason"}}, "refuses is missing"),
        ({"free_bytes": float("nan")}, "free_bytes is not a valid number"),
        ({"free_bytes": 10**400}, "free_bytes is not a valid number"),
        ({"rootfs": "new"}, "the rootfs is not an object"),
        ({"rootfs": {"digest": "\x1b[2J"}}, "digest is not a valid SHA-256"),
        ({"protocol": None}, "protocol is not a valid number"),
    ],
)
def test_a_report_that_is_not_as_agreed_is_none(change: dict[str, Any], says: str) -> None:
    document = {**report.dump(SENT), **change}
    with pytest.raises(MessageError, match=says):
        report.parse(document)
    assert report.read(document) is None


@pytest.mark.parametrize("raw", [None, "report", [], 7])
def test_what_is_no_report_is_none(raw: object) -> None:
    assert report.read(raw) is None


def test_a_pis_words_are_one_printable_line() -> None:
    words = "no\n\x1b[2J\0 \ud800room" + "x" * 1000
    refuses = report.parse({**report.dump(SENT), "refuses": words}).refuses or ""
    assert refuses.startswith("no [2J roomxxx")
    assert len(refuses) == 500


def test_a_report_from_before_there_were_versions_says_what_is_held_and_refuses() -> None:
    said = report.parse(json.loads(OF_VERSION_1))
    assert (said.queued, said.done) == ((QUEUED,), (DONE,))
    assert said.holds == SENT.holds
    assert said.refuses == report.other_version(1)
    assert said.refuses.endswith("run ansible-playbook site.yml for this Pi")
