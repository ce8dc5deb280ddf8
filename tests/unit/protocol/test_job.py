"""Nothing in a job leads anywhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from protocol import VERSION, MessageError, job

DOCUMENT: dict[str, Any] = {
    "protocol": VERSION,
    "key": "bookworm-12-1",
    "project": "demo",
    "version": "1.0",
    "target": "bookworm",
    "sdist": {
        "filename": "demo-1.0.tar.gz",
        "url": "https://localhost/demo-1.0.tar.gz",
        "sha256": "0" * 64,
        "size_bytes": 17,
    },
    "of_a_later_version": True,
}


def test_a_job_survives_its_file() -> None:
    parsed = job.parse(DOCUMENT)
    assert parsed.sdist.size_bytes == 17
    assert job.parse(json.loads(json.dumps(job.dump(parsed)))) == parsed


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"key": "../etc/passwd"}, "is not a valid job key"),
        ({"key": "bookworm-12-1.service"}, "is not a valid job key"),
        ({"key": "trixie-12-1"}, "its target is 'bookworm'"),
        ({"project": ""}, "its project is missing"),
        ({"version": None}, "its version is missing"),
        ({"sdist": None}, "bookworm-12-1"),
        ({"priority": True}, "its priority is not a valid number"),
        ({"protocol": VERSION + 1}, f"it is of version {VERSION + 1} of the protocol"),
        ({"protocol": "2"}, "protocol is not a valid number"),
        ({"protocol": 1}, "its target is missing"),
    ],
)
def test_a_wrong_job_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(MessageError, match="can't be used") as caught:
        job.parse({**DOCUMENT, **change})
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"filename": "../demo-1.0.tar.gz"}, "is not a valid name of an sdist"),
        ({"filename": "a\nPATH=/x.tar.gz"}, "is not a valid name of an sdist"),
        ({"url": "file:///etc/passwd"}, "is not an https address"),
        ({"size_bytes": -1}, "the sdist's size is not a valid number"),
        ({"sha256": "md5"}, "is not a valid SHA-256"),
    ],
)
def test_a_wrong_source_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(MessageError) as caught:
        job.parse({**DOCUMENT, "sdist": {**DOCUMENT["sdist"], **change}})
    assert says in str(caught.value)


def test_a_job_says_its_version_and_what_the_master_knows() -> None:
    said = job.dump(job.parse(DOCUMENT))
    assert said == {**{n: v for n, v in DOCUMENT.items() if "later" not in n}, "priority": 0}


def test_a_wrong_job_costs_no_other() -> None:
    jobs, left_out = job.parse_each([{**DOCUMENT, "sdist": None}, DOCUMENT, "no job"])
    assert jobs == [job.parse(DOCUMENT)]
    assert [line.split(" can't be used")[0] for line in left_out] == [
        "job 'bookworm-12-1'",
        "job None",
    ]
