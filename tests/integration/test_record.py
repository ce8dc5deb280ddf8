"""What comes back is verified, recorded once and whole, and stands in the store."""

from __future__ import annotations

import gzip
import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest

from protocol import VERSION
from protocol.result import MAX_LOG_BYTES
from tests.support.farm import Farm, said
from tests.support.rows import START
from tests.support.wheels import Forge, elf, unpacked

NEVER = {"started_at": "9999-12-31T23:59:59Z", "finished_at": "0001-01-01T00:00:00"}


def test_a_wheel_is_recorded_and_stored(farm: Farm, key: str) -> None:
    forge = Forge()
    farm.send("pi1", key, forge, apt_packages=["libc6", "liblzo2-2", "--evil", 7])
    gathered = farm.gather(pi1=said(done=[key]))
    name = "demo-1.0-cp311-cp311-linux_armv7l.whl"
    assert [(r.key, r.status, r.filename) for r in gathered.recorded] == [(key, "built", name)]
    assert not gathered.lost
    assert not gathered.refused
    assert unpacked(farm.config.store / "demo" / name) == forge.contents()
    assert (farm.config.store / "demo" / f"{name}.metadata").read_bytes() == (
        forge.contents()["demo-1.0.dist-info/METADATA"]
    )
    published = (farm.config.store / "demo" / name).read_bytes()
    assert farm.rows("SELECT filename, size_bytes, sha256, requires_python FROM files") == [
        (name, len(published), hashlib.sha256(published).hexdigest(), ">=3.9")
    ]
    assert farm.rows("SELECT tool, dependency FROM file_dependencies ORDER BY 1, 2") == [
        ("apt", "libc6"),
        ("apt", "liblzo2-2"),
        ("pip", "some-thing"),
    ]
    assert farm.rows("SELECT status, reason, attempt, duration_s, recorded_at FROM builds") == [
        ("built", None, 1, 1.5, farm.now)
    ]
    ((log, size),) = farm.rows("SELECT log, size_bytes FROM build_logs")
    assert gzip.decompress(log).decode() == f"log of {key}\n"
    assert size == len(f"log of {key}\n")
    assert farm.states() == {"demo 1.0": "built"}
    assert farm.value("SELECT dirty_since FROM projects") == farm.now
    assert farm.differences() == []
    assert farm.claim()["pi1"].leased == []


@pytest.mark.parametrize(
    ("files", "believed"),
    [
        ({"demo.py": b"", "demo.so": b"no library"}, 0),
        ({"demo.so": elf()}, 50),
        ({"one.so": elf(), "two": elf()}, 100),
        ({"demo.so": elf(), "firmware.elf": elf(machine=83)}, 50),
    ],
    ids=["no library", "a library", "a library and a program", "a library and firmware"],
)
def test_no_more_apt_packages_are_believed_than_its_code_could_need(
    farm: Farm, key: str, files: dict[str, bytes], believed: int
) -> None:
    names = [f"package-{number:03}" for number in range(150)]
    farm.send("pi1", key, Forge(files=files), apt_packages=names)
    assert farm.record(key).status == "built"
    found = farm.rows("SELECT dependency FROM file_dependencies WHERE tool = 'apt' ORDER BY 1")
    assert [name for (name,) in found] == names[:believed]


def test_a_failure_is_recorded_with_its_reason_in_one_line(farm: Farm, key: str) -> None:
    farm.send("pi1", key, reason="cups/http.h:\n  no \x1b[31msuch\x00 file" + "x" * 1000)
    recorded = farm.record(key)
    assert recorded.status == "failed"
    assert recorded.reason.startswith("cups/http.h: no [31msuch filexxx")
    assert len(recorded.reason) == 500
    assert farm.states() == {"demo 1.0": "failed"}
    assert farm.value("SELECT reason FROM jobs WHERE state = 'failed'") == recorded.reason
    assert farm.differences() == []


def test_a_wheel_that_lies_fails_its_build_and_isnt_stored(farm: Farm, key: str) -> None:
    farm.send("pi1", key, Forge(project="other"))
    recorded = farm.record(key)
    assert recorded.reason == "wheel refused: it is other 1.0, and the job is demo 1.0"
    assert farm.states() == {"demo 1.0": "failed"}
    assert list(farm.config.store.iterdir()) == []
    assert farm.differences() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "bookworm-9-9"},
        {"status": "great"},
        {"wheel": None},
        {"wheel": {"filename": "../../x.whl", "size_bytes": 1, "sha256": "0" * 64}},
        {"wheel": {"filename": "\ud800.whl", "size_bytes": 1, "sha256": "0" * 64}},
        {"wheel": {"filename": "x.whl", "size_bytes": "1", "sha256": "0" * 64}},
        {"apt_packages": "libc6"},
    ],
)
def test_a_result_that_isnt_as_agreed_is_a_failure(
    farm: Farm, key: str, changes: dict[str, Any]
) -> None:
    farm.send("pi1", key, Forge(), **changes)
    assert farm.record(key).reason.startswith("result refused: ")
    assert farm.differences() == []


OF_VERSION_1 = """{
 "key": "KEY",
 "status": "built",
 "reason": null,
 "started_at": "2026-11-21T12:00:00.250000+00:00",
 "finished_at": "2026-11-21T12:00:01.750000+00:00",
 "duration_s": 1.5,
 "wheel": {
  "filename": "FILENAME",
  "size_bytes": SIZE,
  "sha256": "SHA256"
 },
 "apt_packages": [
  "libc6"
 ]FETCH
}"""
"""A result of before there were versions."""


@pytest.mark.parametrize("fetch", ["", ',\n "fetch": null'])
def test_a_result_from_before_an_update_is_recorded(farm: Farm, key: str, fetch: str) -> None:
    forge = Forge()
    farm.send("pi1", key, forge)
    text = OF_VERSION_1.replace("KEY", key).replace("FILENAME", forge.filename)
    text = text.replace("SIZE", str(len(forge.bytes()))).replace("FETCH", fetch)
    text = text.replace("SHA256", hashlib.sha256(forge.bytes()).hexdigest())
    (farm.config.incoming / "pi1" / key / "result.json").write_text(text)
    farm.later(seconds=10)
    assert farm.record(key).status == "built"
    ((started, finished, duration),) = farm.rows(
        "SELECT started_at, finished_at, duration_s FROM builds"
    )
    assert (started, finished) == (
        START + timedelta(seconds=0.25),
        START + timedelta(seconds=1.75),
    )
    assert duration == 1.5
    assert farm.value("SELECT dependency FROM file_dependencies WHERE tool = 'apt'") == "libc6"
    assert farm.differences() == []


def test_a_result_that_only_a_later_master_understands_waits_for_it(farm: Farm, key: str) -> None:
    farm.send("pi1", key, Forge(), protocol=VERSION + 1)
    (refused,) = farm.gather(pi1=said(done=[key])).refused
    assert "run ansible-playbook site.yml for the master" in refused.reason
    assert farm.states() == {"demo 1.0": "leased"}
    assert (farm.config.incoming / "pi1" / key / "result.json").exists()


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b" " * (2 << 20)])
def test_a_result_that_is_no_json_is_a_failure(farm: Farm, key: str, data: bytes) -> None:
    farm.send("pi1", key)
    (farm.config.incoming / "pi1" / key / "result.json").write_bytes(data)
    assert farm.record(key).reason.startswith("result refused: ")
    assert farm.differences() == []


@pytest.mark.parametrize(
    ("said_of_it", "stored"),
    [
        ({"duration_s": -1}, None),
        ({"duration_s": 1e99}, None),
        ({"duration_s": 10**400}, None),
        ({"duration_s": True}, None),
        ({"duration_s": "long"}, None),
        ({"started_at": "yesterday", "duration_s": 2}, 2),
        ({**NEVER, "duration_s": 3}, 3),
    ],
)
def test_times_that_cant_be_are_left_out(
    farm: Farm, key: str, said_of_it: dict[str, Any], stored: float | None
) -> None:
    farm.send("pi1", key, **said_of_it)
    assert farm.record(key).status == "failed"
    ((duration, finished),) = farm.rows("SELECT duration_s, finished_at FROM builds")
    assert duration == stored
    assert START.timestamp() - 60 <= finished.timestamp() <= farm.now.timestamp()


def test_a_log_is_cut_to_its_limit_and_may_hold_anything(farm: Farm, key: str) -> None:
    farm.send("pi1", key)
    log = farm.config.incoming / "pi1" / key / "log.txt"
    log.write_bytes(b"\0\xff" + b"x" * (5 << 20))
    farm.record(key)
    text = gzip.decompress(farm.value("SELECT log FROM build_logs")).decode()
    assert text.startswith("\ufffd\ufffdxxx")
    assert text.endswith("bytes more were cut off by the master)\n")
    assert len(text) < (4 << 20) + 100


def test_a_log_that_is_a_link_isnt_followed(farm: Farm, key: str) -> None:
    farm.send("pi1", key)
    log = farm.config.incoming / "pi1" / key / "log.txt"
    log.unlink()
    log.symlink_to("/etc/passwd")
    farm.record(key)
    text = gzip.decompress(farm.value("SELECT log FROM build_logs")).decode()
    assert text == "(no log came with this result)\n"


def test_a_failed_build_is_recorded_with_what_its_log_says_of_it(farm: Farm, key: str) -> None:
    unit = {"result": "exit-code", "exit_status": 1}
    farm.send("pi1", key, reason=None, unit=unit, timeout_s=600)
    log = farm.config.incoming / "pi1" / key / "log.txt"
    # As long as an honest one may be.
    cause = b"\nx.c:1:1: fatal error: a.h: No such file or directory\nERROR: Failed to build x\n"
    log.write_bytes(cause.rjust(MAX_LOG_BYTES, b"x"))
    assert farm.record(key).reason == "fatal error: a.h: No such file or directory"
    assert farm.rows("SELECT reason_code, reason FROM builds") == [
        ("build-failed", "fatal error: a.h: No such file or directory")
    ]
    assert len(gzip.decompress(farm.value("SELECT log FROM build_logs"))) == MAX_LOG_BYTES
    assert farm.differences() == []


def test_what_the_master_says_of_a_log_is_not_taken_for_it(farm: Farm, key: str) -> None:
    unit = {"result": "exit-code", "exit_status": 1}
    farm.send("pi1", key, reason=None, unit=unit, timeout_s=600)
    (farm.config.incoming / "pi1" / key / "log.txt").unlink()
    assert farm.record(key).reason == "pip ended with status 1 and said nothing"


@pytest.mark.parametrize("version", [{}, {"protocol": 2}], ids=["1", "2"])
def test_the_words_of_a_failure_from_before_an_update_are_kept(
    farm: Farm, key: str, version: dict[str, int]
) -> None:
    old = {"key": key, "status": "failed", "reason": "fatal error: a.h: No such file", **version}
    farm.send("pi1", key)
    (farm.config.incoming / "pi1" / key / "result.json").write_text(json.dumps(old))
    assert farm.record(key).reason == "fatal error: a.h: No such file"
