"""What comes back is verified, recorded once and whole, and stands in the store."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from packaging.tags import parse_tag

from master.jobs import retry
from master.results.record import RefusedError
from master.targets.tags import serves
from protocol import VERSION
from protocol.result import FETCH_CODES, MAX_LOG_BYTES
from tests.support.farm import START, Farm, exchange, said, upstream
from tests.support.wheels import BOOKWORM, Forge, elf, unpacked

NEVER = {"started_at": "9999-12-31T23:59:59Z", "finished_at": "0001-01-01T00:00:00"}
PURE = Forge(tag="py3-none-any", files={"demo.py": b""})
# As a project for boards of many kinds has them.
HELPERS = {"demo/pulse": elf(), "demo/pulse64": elf(bits=64, machine=183, flags=0)}


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


@pytest.mark.parametrize("version", [{}, {"protocol": 2}], ids=["1", "2"])
def test_the_words_of_a_failure_from_before_an_update_are_kept(
    farm: Farm, key: str, version: dict[str, int]
) -> None:
    old = {"key": key, "status": "failed", "reason": "fatal error: a.h: No such file", **version}
    farm.send("pi1", key)
    (farm.config.incoming / "pi1" / key / "result.json").write_text(json.dumps(old))
    assert farm.record(key).reason == "fatal error: a.h: No such file"


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


# An sdist that couldn't be fetched

WAITS = (
    "SELECT state, fetch_failures, retry_at, retry_reason FROM jobs JOIN targets USING (target_id)"
    " WHERE name = 'bookworm'"
)


def tried(farm: Farm, *codes: str) -> list[float]:
    """How long the job waits after each of these results, in seconds; it ends with the last one."""
    waits = []
    for code in codes:
        (key,) = farm.keys("pi1")
        farm.send("pi1", key, reason="the sdist can't be fetched: why", fetch=code)
        farm.record(key)
        retry_at = farm.value("SELECT max(retry_at) FROM jobs")
        if retry_at is None:
            break
        waits.append((retry_at - farm.now).total_seconds())
        farm.now = retry_at
    return waits


def test_a_builder_says_no_trouble_that_the_master_doesnt_know() -> None:
    assert set(FETCH_CODES) == set(retry.CODES)


def test_a_job_whose_sdist_cant_be_fetched_goes_back_to_wait(farm: Farm, key: str) -> None:
    farm.send("pi1", key, reason="the sdist can't be fetched: 404", fetch="missing")
    gathered = farm.gather(pi1=said(done=[key]))
    assert [(r.key, r.status, r.reason) for r in gathered.recorded] == [
        (key, "waiting", "the sdist can't be fetched: 404")
    ]
    assert farm.rows(WAITS) == [
        ("pending", 1, farm.now + timedelta(seconds=30), "the sdist can't be fetched: 404")
    ]
    assert farm.rows("SELECT * FROM builds") == []
    assert farm.value("SELECT dirty_since FROM projects") is None
    # It is acknowledged, as it is named no longer.
    assert farm.claim()["pi1"].leased == []
    assert farm.differences() == []


def test_the_network_fails_a_job_at_the_eighth_time(farm: Farm, key: str) -> None:
    assert tried(farm, *["network"] * 9) == [30, 60, 120, 240, 480, 600, 600]
    assert farm.rows(WAITS)[0][0] == "failed"
    ((status, reason, attempt),) = farm.rows("SELECT status, reason, attempt FROM builds")
    assert (status, reason, attempt) == ("failed", "the sdist can't be fetched: why", 8)
    assert farm.rows("SELECT count(*), max(attempt), max(reason_code) FROM ended_leases") == [
        (7, 7, "sdist-unavailable")
    ]
    assert farm.value("SELECT DISTINCT reason_code FROM builds") == "sdist-unavailable"
    assert farm.value("SELECT count(*) FROM build_logs") == 1
    assert farm.differences() == []


def test_another_file_than_promised_fails_a_job_at_the_second_time(farm: Farm, key: str) -> None:
    # Whatever else kept it meanwhile.
    waits = tried(farm, "network", "other-file", "missing", "other-file", "network")
    assert waits == [30, 60, 120]
    assert farm.value("SELECT max(attempt) FROM builds") == 4


def test_a_missing_sdist_is_tried_until_a_sync_finds_it_gone(farm: Farm, key: str) -> None:
    waits = tried(farm, *["missing"] * 30)
    assert waits[:8] == [30, 60, 120, 240, 480, 960, 1920, 3600]
    assert waits[8:] == [3600] * 22
    # The network's share is counted apart.
    assert tried(farm, "network") == [600]
    farm.sync(replace(upstream("demo"), is_final=True))
    assert [row[:3] for row in farm.rows(WAITS)] == [("skipped", 31, None)]
    assert farm.rows("SELECT * FROM builds") == []


def test_a_missing_sdist_that_no_sync_asks_for_fails_at_the_twelfth_time(
    farm: Farm, key: str
) -> None:
    farm.rows("UPDATE projects SET followed = false")
    assert len(tried(farm, *["missing"] * 13)) == 11
    assert farm.rows(WAITS)[0][0] == "failed"
    assert farm.value("SELECT max(attempt) FROM builds") == 12


@pytest.mark.parametrize("code", [None, "", "gone", 7, ["network"], {"network": 1}])
def test_a_failure_that_names_no_known_trouble_is_one_as_any_other(
    farm: Farm, key: str, code: object
) -> None:
    farm.send("pi1", key, fetch=code)
    assert farm.record(key).status == "failed"
    assert farm.value("SELECT count(*) FROM builds") == 1


def test_a_wheel_that_says_it_wasnt_fetched_is_one_as_any_other(farm: Farm, key: str) -> None:
    farm.send("pi1", key, Forge(), fetch="network")
    assert farm.record(key).status == "built"
    assert farm.differences() == []


def test_a_wheel_for_every_platform_ends_what_waits_for_its_sdist(farm: Farm, key: str) -> None:
    (other,) = farm.keys("pi3", {"pi1": "bookworm", "pi3": "trixie"})
    farm.send("pi3", other, fetch="network")
    farm.record(other, "pi3")
    farm.send("pi1", key, PURE)
    farm.record(key)
    assert farm.states("trixie") == {"demo 1.0": "skipped"}
    assert farm.value("SELECT count(retry_at) FROM jobs") == 0


# Once, and by its own builder


def test_a_result_is_recorded_once_however_often_it_comes(farm: Farm, key: str) -> None:
    farm.send("pi1", key, Forge())
    farm.record(key)
    before = farm.rows("SELECT * FROM jobs, builds, files")
    farm.send("pi1", key, Forge())
    gathered = farm.gather(pi1=said(done=[key]))
    assert [(r.key, r.reason) for r in gathered.refused] == [(key, "it is recorded already")]
    assert farm.rows("SELECT * FROM jobs, builds, files") == before
    assert farm.differences() == []


def test_a_result_of_an_attempt_that_isnt_the_current_one_is_refused(farm: Farm, key: str) -> None:
    farm.gather(pi1=said(queued=[key]))
    farm.gather(pi1=said())
    (again,) = farm.keys("pi2")[:1] or farm.keys("pi1")
    farm.send("pi1", key, Forge())
    with pytest.raises(RefusedError, match="attempt 1 isn't the current one, which is 2"):
        farm.record(key)
    assert again in [k for h in farm.claims().handouts for k in h.leased]
    assert farm.differences() == []


@pytest.mark.parametrize(
    ("builder", "change", "why"),
    [
        ("pi2", {}, "the job is leased to pi1"),
        ("pi1", {"bookworm": "trixie"}, "no such job"),
        ("pi1", {"-1-": "-999-"}, "no such job"),
    ],
)
def test_a_result_of_anothers_job_is_refused(
    farm: Farm, key: str, builder: str, change: dict[str, str], why: str
) -> None:
    other = key
    for old, new in change.items():
        other = other.replace(old, new, 1)
    if change and other == key:
        other = key.replace(key.split("-")[1], "999")
    farm.send(builder, other, Forge())
    with pytest.raises(RefusedError, match=why):
        farm.record(other, builder)
    assert farm.states() == {"demo 1.0": "pending"} or farm.states() == {"demo 1.0": "leased"}
    assert farm.differences() == []


def test_only_what_was_fetched_whole_is_looked_at(farm: Farm, key: str) -> None:
    farm.send("pi1", key, Forge())
    gathered = farm.end_round({"pi1": exchange(said(done=[key]), collected=[])})
    assert not gathered.recorded
    assert not gathered.refused
    assert not gathered.lost
    gathered = farm.gather(pi1=said(done=[key]))
    assert [r.status for r in gathered.recorded] == ["built"]


def test_what_nobody_waits_for_is_swept_away(farm: Farm, key: str) -> None:
    farm.send("pi1", "bookworm-999-1", Forge())
    farm.send("pi2", key, Forge())
    farm.send("pi1", key, Forge())
    (farm.config.incoming / "pi1" / "stray").write_text("x")
    farm.gather()
    left = sorted(
        str(p.relative_to(farm.config.incoming)) for p in farm.config.incoming.glob("*/*")
    )
    assert left == [f"pi1/{key}"]


# Names


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
    # Trixie's package is no other release's.
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
