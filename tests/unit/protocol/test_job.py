"""Nothing in a job leads anywhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builder import config
from protocol import job

DOCUMENT: dict[str, Any] = {
    "key": "bookworm-12-1",
    "project": "demo",
    "version": "1.0",
    "release": "bookworm",
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
        ({"key": "../etc/passwd"}, "is no job key"),
        ({"key": "bookworm-12-1.service"}, "is no job key"),
        ({"key": "trixie-12-1"}, "its release is 'bookworm'"),
        ({"project": ""}, "a name is missing"),
        ({"version": None}, "a name is missing"),
        ({"sdist": None}, "bookworm-12-1"),
    ],
)
def test_a_wrong_job_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(job.JobError, match="can't be used") as caught:
        job.parse({**DOCUMENT, **change})
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"filename": "../demo-1.0.tar.gz"}, "is no name of an sdist"),
        ({"filename": "a\nPATH=/x.tar.gz"}, "is no name of an sdist"),
        ({"url": "file:///etc/passwd"}, "is not an https address"),
        ({"sha256": "md5"}, "is no SHA-256"),
    ],
)
def test_a_wrong_source_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(job.JobError) as caught:
        job.parse({**DOCUMENT, "sdist": {**DOCUMENT["sdist"], **change}})
    assert says in str(caught.value)


def test_a_wrong_job_costs_no_other() -> None:
    jobs, left_out = job.parse_each([{**DOCUMENT, "sdist": None}, DOCUMENT, "no job"])
    assert jobs == [job.parse(DOCUMENT)]
    assert [line.split(" can't be used")[0] for line in left_out] == [
        "job 'bookworm-12-1'",
        "job None",
    ]


def test_settings_are_read_as_the_role_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "builder.json"
    release = {
        "name": "bookworm",
        "python_version": "3.11",
        "interpreter_tag": "cp311",
        "abi_tag": "cp311",
        "platform_tag": "linux_armv7l",
        "machine": "armv7l",
        "preinstalled": ["libc6"],
    }
    path.write_text(json.dumps({"release": release, "forbidden_addresses": ["::1"]}))
    loaded = config.load(path)
    assert loaded.release.tag == "cp311-cp311-linux_armv7l"
    assert loaded.forbidden_addresses == ("::1",)
    assert str(loaded.rootfs) == "/var/lib/wheelyard/rootfs/bookworm"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"release": {}}'])
def test_settings_that_do_not_fit_name_the_file_and_the_way_out(tmp_path: Path, text: str) -> None:
    path = tmp_path / "builder.json"
    path.write_text(text)
    with pytest.raises(config.ConfigError, match=r"run ansible-playbook site\.yml") as caught:
        config.load(path)
    assert str(path) in str(caught.value)
