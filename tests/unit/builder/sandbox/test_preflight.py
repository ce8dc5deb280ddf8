"""A builder that would make wrong wheels, or that can't keep a build in, refuses and says why."""

from __future__ import annotations

import ast
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder import service as serve
from builder.attempt import fetch
from builder.sandbox import preflight
from builder.sandbox.preflight import Preflight
from builder.spool import reconcile, status
from protocol.result import NETWORK, UnitResult
from tests.support.builder import RELEASE, FakeUnits, config, job
from tests.support.wheels import Forge, linked

GOOD: dict[str, Any] = {
    "machine": "armv7l",
    "page_size_bytes": 4096,
    "python_version": "3.11",
    "compiled": "trial.so",
    "native": True,
    "not_armv6": None,
    "compiler": "arm-linux-gnueabihf",
    "python_triple": "arm-linux-gnueabihf",
    "tag": "cp311-cp311-linux_armv7l",
    "accepted_tags": ["cp311-cp311-manylinux_2_36_armv7l", "cp311-cp311-linux_armv7l"],
    "uid": 64100,
    "reached": [],
}

RELEASE_64BIT = replace(RELEASE, platform_tag="linux_aarch64", machine="aarch64")


class Pi:
    """A builder whose trial builds see what `facts` says."""

    def __init__(self, folder: Path) -> None:
        self.config = config(folder, forbidden_addresses=("fd00::1",))
        (self.config.spool_dir / "tmp").mkdir()
        (self.config.rootfs / "var/lib/dpkg").mkdir(parents=True)
        (self.config.rootfs / "var/lib/dpkg/status").touch()
        self.units = FakeUnits(self.config.work_dir, self.trial)
        self.facts = dict(GOOD)
        self.made = "v7"
        self.outcome = UnitResult("success")
        self.now = 0.0
        self.preflight = Preflight(self.config, self.units, clock=lambda: self.now)

    def trial(self, folder: Path) -> UnitResult:
        with tarfile.open(folder / "in" / "trial-0.tar.gz") as archive:
            assert "trial-0/probe.json" in archive.getnames()
        assert (folder / "in" / "trial_backend.py").exists()
        (folder / "log").write_text("error: no compiler\n")
        if self.outcome.succeeded:
            facts = json.dumps(self.facts).encode()
            files = {"trial-0.dist-info/facts.json": facts, "trial.so": linked(self.made)}
            Forge("trial", "0", self.facts["tag"], files=files).write(folder / "out")
        return self.outcome

    @property
    def trials(self) -> int:
        return sum(call.startswith("build") for call in self.units.calls)


@pytest.fixture
def pi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pi:
    monkeypatch.setattr(preflight, "_TIMESYNC", tmp_path / "timesync")
    return Pi(tmp_path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"machine": "aarch64"}, "aarch64 in the rootfs and bookworm needs armv7l or armv8l: the"),
        ({"machine": "armv6l"}, "uname -m says armv6l"),
        (
            {"page_size_bytes": 16384},
            "pages have 16 KiB and 32-bit programs need 4 KiB: add kernel",
        ),
        ({"native": False}, "makes is not for armv7l: its rootfs is of another release"),
        ({"python_version": "3.13"}, "has Python 3.13"),
        ({"compiler": "aarch64-linux-gnu"}, "makes code for aarch64-linux-gnu"),
        ({"not_armv6": "Tag_CPU_arch is 10"}, "not ARMv6 code (Tag_CPU_arch is 10)"),
        ({"tag": "cp311-cp311-linux_aarch64"}, "tagged cp311-cp311-linux_aarch64"),
        ({"tag": "cp311-cp311-linux_armv8l"}, "tagged cp311-cp311-linux_armv8l"),
        ({"accepted_tags": []}, "correct the facts of the release"),
        ({"reached": ["fd00::1"]}, "a build can reach fd00::1"),
    ],
)
def test_a_wrong_rootfs_or_an_open_sandbox_is_refused(changes: dict[str, Any], says: str) -> None:
    assert preflight.judge(GOOD, RELEASE) is None
    assert says in (preflight.judge({**GOOD, **changes}, RELEASE) or "")


def test_a_64_bit_kernel_builds_for_a_32_bit_release() -> None:
    assert preflight.judge({**GOOD, "machine": "armv8l"}, RELEASE) is None


@pytest.mark.parametrize("machine", ["armv7l", "armv8l"])
def test_a_pi_for_a_64_bit_release_shows_its_builds_a_64_bit_kernel(machine: str) -> None:
    tag = "cp311-cp311-linux_aarch64"
    wide = {"machine": "aarch64", "page_size_bytes": 16384, "tag": tag, "accepted_tags": [tag]}
    assert preflight.judge({**GOOD, **wide}, RELEASE_64BIT) is None
    says = f"uname -m says {machine} in the rootfs and bookworm needs aarch64: the rootfs is of"
    assert says in (preflight.judge({**GOOD, **wide, "machine": machine}, RELEASE_64BIT) or "")


def test_a_rootfs_whose_compiler_makes_64_bit_code_is_refused(pi: Pi) -> None:
    assert pi.preflight.refusal() is None
    pi.config = replace(pi.config, release=RELEASE_64BIT)
    pi.facts["machine"] = "aarch64"
    refusal = Preflight(pi.config, pi.units).refusal()
    assert "makes is not for aarch64" in (refusal or "")


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ("v6", None),
        ("v7", "is not ARMv6 code (Tag_CPU_arch is 10), and bookworm promises that: make the root"),
        ("neon", "is not ARMv6 code (Tag_Advanced_SIMD_arch is 1)"),
        ("softfp", "is not ARMv6 code (it isn't linked for hard floats)"),
        ("none", "the trial build can't be made: it has no .ARM.attributes"),
    ],
)
def test_a_compiler_that_doesnt_make_the_armv6_code_that_is_promised_is_refused(
    pi: Pi, made: str, says: str | None
) -> None:
    pi.made = made
    assert pi.preflight.refusal() is None
    pi.config = replace(pi.config, release=replace(RELEASE, armv6=True))
    refusal = Preflight(pi.config, pi.units).refusal()
    assert (refusal is None) if says is None else says in (refusal or "")


def test_a_trial_counts_until_the_service_starts_again_or_meets_with_trouble(pi: Pi) -> None:
    assert pi.preflight.refusal() is None
    pi.now += 9999
    assert pi.preflight.refusal() is None
    assert pi.trials == 1
    assert Preflight(pi.config, pi.units).refusal() is None
    assert pi.trials == 2
    pi.preflight.forget()
    assert pi.preflight.refusal() is None
    assert pi.trials == 3


def test_a_builder_that_refuses_tries_again_now_and_then(pi: Pi) -> None:
    pi.facts["machine"] = "aarch64"
    assert "uname -m says aarch64" in (pi.preflight.refusal() or "")
    pi.facts["machine"] = "armv7l"
    assert pi.preflight.refusal() is not None
    assert pi.trials == 1
    pi.now += 601
    assert pi.preflight.refusal() is None


def test_a_trial_that_fails_tells_why(pi: Pi) -> None:
    pi.outcome = UnitResult("exit-code", 1)
    assert (
        pi.preflight.refusal() == "the trial build failed (exit-code, status 1): error: no compiler"
    )
    pi.units.refuses_root = "no overlay"
    pi.preflight.forget()
    assert pi.preflight.refusal() == "the trial build can't be made: no overlay"


def test_a_rootfs_that_is_not_there_is_no_crash(pi: Pi) -> None:
    (pi.config.rootfs / "var/lib/dpkg/status").unlink()
    assert "isn't there: run site.yml" in (pi.preflight.refusal() or "")
    assert pi.trials == 0


def test_a_trial_leaves_nothing(pi: Pi) -> None:
    pi.preflight.refusal()
    assert not list(pi.config.work_dir.iterdir())
    assert not list((pi.config.spool_dir / "tmp").iterdir())


def test_the_trial_tries_what_must_not_be_reached() -> None:
    raw = preflight.trial_sdist([("fd00::1", 22)])
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        member = archive.extractfile("trial-0/probe.json")
        assert member is not None
        assert json.loads(member.read()) == [["fd00::1", 22]]


@pytest.mark.parametrize(
    ("memory", "controllers", "says"),
    [
        (100 << 20, "memory", "100 MiB of memory"),
        (1 << 30, "cpu io pids", "cgroup_enable=memory"),
        (1 << 30, "cpu memory", None),
        (1 << 30, None, None),
    ],
)
def test_a_pi_that_can_not_build_at_all_is_told_the_cure(
    tmp_path: Path, memory: int, controllers: str | None, says: str | None
) -> None:
    path = tmp_path / "cgroup.controllers"
    if controllers is not None:
        path.write_text(controllers)
    lacks = preflight.host_lacks(memory, path, 400 << 20)
    assert (lacks is None) if says is None else says in (lacks or "")


def test_a_pi_waits_for_its_time_server_and_says_so(pi: Pi, tmp_path: Path) -> None:
    (tmp_path / "timesync").mkdir()
    says = "the clock isn't set yet: waiting up to 5 min"
    assert says in (pi.preflight.refusal() or "")
    pi.now += 299
    assert says in (pi.preflight.refusal() or "")
    assert pi.trials == 0
    (tmp_path / "timesync/synchronized").touch()
    assert pi.preflight.refusal() is None
    # The time service may be started anew, and the clock is set all the same.
    (tmp_path / "timesync/synchronized").unlink()
    assert pi.preflight.refusal() is None


def test_a_pi_that_no_time_server_answers_goes_on_and_says_so(
    pi: Pi, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "timesync").mkdir()
    assert pi.preflight.refusal() is not None
    pi.now += 300
    assert pi.preflight.refusal() is None
    assert pi.preflight.refusal() is None
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "no time server has set the clock: going on with the time that it has"
    ]


class IdleUnits(FakeUnits):
    """Knows of a unit that a killed service left."""

    def keys(self) -> frozenset[str]:
        return frozenset({"bookworm-9-1"})


def test_the_service_clears_leftovers_and_says_when_it_takes_jobs(pi: Pi) -> None:
    units = IdleUnits(pi.config.work_dir, pi.trial)
    service = serve.Service(pi.config, units)
    service.start()
    assert units.calls == ["remove bookworm-9-1"]
    assert "is making its trial build" in (status.read(pi.config.status_path) or "")
    assert service.step() == serve.IDLE_S
    assert status.read(pi.config.status_path) is None


def test_a_build_that_goes_on_is_brought_to_its_end_before_the_pi_proves_itself(pi: Pi) -> None:
    units = IdleUnits(pi.config.work_dir, lambda _: UnitResult("exit-code", 1))
    service = serve.Service(pi.config, units)
    service.spool.make()
    service.spool.add(job("bookworm-9-1"))
    assert service.spool.take(0.0)
    units.start_root("bookworm-9-1")
    units.under_way.add("bookworm-9-1")
    service.start()
    assert status.read(pi.config.status_path) is None
    assert service.step() == 0.0
    assert service.spool.snapshot().done == ("bookworm-9-1",)
    assert "build trial-0-0" not in units.calls
    assert service.step() == serve.REFUSING_S
    assert "the trial build failed" in (status.read(pi.config.status_path) or "")


def test_a_build_for_the_release_that_this_pi_had_is_ended(pi: Pi) -> None:
    units = IdleUnits(pi.config.work_dir, pi.trial)
    units.under_way.add("bookworm-9-1")
    pi.config = replace(pi.config, release=replace(RELEASE, name="trixie"))
    service = serve.Service(pi.config, units)
    service.spool.make()
    service.spool.add(job("bookworm-9-1"))
    assert service.spool.take(0.0)
    service.start()
    assert units.calls == ["remove bookworm-9-1"]
    assert service.spool.snapshot().keys == frozenset()


def test_the_service_takes_no_jobs_on_a_full_disk(pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    service = serve.Service(pi.config, IdleUnits(pi.config.work_dir, pi.trial))
    service.start()
    monkeypatch.setattr(reconcile, "low_disk", lambda *_: "disk full: 1 MiB")
    assert service.step() == serve.REFUSING_S
    assert status.read(pi.config.status_path) == "disk full: 1 MiB"


def test_a_pi_that_met_with_trouble_says_so_and_proves_itself_again(pi: Pi) -> None:
    units = IdleUnits(pi.config.work_dir, pi.trial)
    service = serve.Service(pi.config, units)
    service.start()
    assert service.step() == serve.IDLE_S
    service.spool.add(job())
    units.refuses_root = "no overlay"
    assert service.step() == serve.REFUSING_S
    says = "the root of a build can't be made: no overlay"
    assert status.read(pi.config.status_path) == says
    units.refuses_root = ""
    assert service.spool.withdraw("bookworm-1-1")
    assert service.step() == serve.IDLE_S
    assert status.read(pi.config.status_path) is None
    assert units.calls.count("build trial-0-0") == 2


def test_the_service_takes_no_jobs_for_a_while_when_the_network_is_out(
    pi: Pi, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object, **__: object) -> None:
        raise fetch.FetchError("https://localhost/x: unreachable", NETWORK)

    monkeypatch.setattr(fetch, "sdist", down)
    service = serve.Service(pi.config, IdleUnits(pi.config.work_dir, pi.trial))
    service.builder.pause.clock = lambda: pi.now
    service.start()
    for number in (1, 2, 3):
        service.spool.add(job(f"bookworm-{number}-1"))
    for pause_s, left in ((30, 2), (60, 1)):
        assert service.step() == 0.0
        assert len(service.spool.snapshot().queued) == left
        pi.now += pause_s - 1
        assert service.step() == serve.REFUSING_S
        says = status.read(pi.config.status_path) or ""
        assert says.startswith("can't fetch sdists: https://localhost/x: unreachable; tries again")
        # What it hasn't begun stays for the report to show, so nothing of it is lost.
        assert len(service.spool.snapshot().queued) == left
        pi.now += 1
    service.step()
    assert len(service.spool.snapshot().done) == 3


def test_the_service_builds_no_job_for_another_release(pi: Pi) -> None:
    service = serve.Service(pi.config, IdleUnits(pi.config.work_dir, pi.trial))
    service.start()
    foreign = job("trixie-1-1", target="trixie")
    service.spool.add(foreign)
    assert service.step() == serve.REFUSING_S
    says = status.read(pi.config.status_path) or ""
    assert "builds for bookworm, and trixie-1-1 is for trixie: run site.yml" in says
    # The master takes it back; until then the report shows it, and it isn't lost.
    assert [item.key for item in service.spool.snapshot().queued] == ["trixie-1-1"]
    service.spool.withdraw("trixie-1-1")
    assert service.step() == serve.IDLE_S
    assert status.read(pi.config.status_path) is None


def test_the_trial_backend_is_written_in_the_python_of_the_oldest_release() -> None:
    # PEP 498 and 526 came with 3.6, PEP 448 and what opens, reads and closes a path with 3.5.
    source = Path(preflight.__file__).with_name("trial_backend.py").read_text()
    for node in ast.walk(ast.parse(source)):
        assert not isinstance(node, ast.JoinedStr | ast.AnnAssign | ast.NamedExpr)
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            assert not any(isinstance(item, ast.Starred) for item in node.elts)
        if isinstance(node, ast.Dict):
            assert None not in node.keys
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"read_text", "read_bytes", "write_text", "write_bytes", "run"}
