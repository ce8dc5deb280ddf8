"""What systemctl says is told apart: the package's failure from the Pi's, an end from none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from builder import config as settings
from builder import root
from builder.job import JobError
from builder.systemd import Outcome, UnitError, Units
from tests.unit.builder.helpers import config

KEY = "bookworm-1-1"


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl that notes its arguments, and answers `show` and `list-units` from a file."""
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        f'echo "$*" >> {tmp_path}/calls\n'
        'case "$2" in\n'
        f"show|list-units) cat {tmp_path}/answer ;;\n"
        f"start) exec sleep 0.$(cat {tmp_path}/tenths) ;;\n"
        "esac\n"
    )
    program.chmod(0o755)
    (tmp_path / "tenths").write_text("0")
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return tmp_path


def says(systemctl: Path, active: str, result: str, status: int) -> None:
    (systemctl / "answer").write_text(
        f"ActiveState={active}\nResult={result}\nExecMainStatus={status}\n"
    )


@pytest.mark.parametrize(
    ("active", "result", "status", "outcome"),
    [
        ("active", "success", 0, Outcome("success", 0)),
        ("failed", "exit-code", 1, Outcome("exit-code", 1)),
        ("failed", "timeout", 15, Outcome("timeout", 15)),
        ("failed", "oom-kill", 9, Outcome("oom-kill", 9)),
        ("failed", "core-dump", 11, Outcome("core-dump", 11)),
    ],
)
def test_the_build_s_end_is_what_systemd_says(
    systemctl: Path, active: str, result: str, status: int, outcome: Outcome
) -> None:
    says(systemctl, active, result, status)
    assert Units().build(KEY) == outcome
    calls = (systemctl / "calls").read_text().splitlines()
    assert calls[0] == f"--no-ask-password start wheel-build@{KEY}.service"


@pytest.mark.parametrize(
    ("active", "result", "status"),
    [("failed", "exit-code", 226), ("failed", "resources", 0), ("inactive", "success", 0)],
)
def test_a_sandbox_that_was_not_set_up_is_the_pi_s_fault(
    systemctl: Path, active: str, result: str, status: int
) -> None:
    says(systemctl, active, result, status)
    with pytest.raises(UnitError, match=f"journalctl -u wheel-build@{KEY}"):
        Units().build(KEY)


def test_a_job_s_own_time_limit_stops_its_build(systemctl: Path) -> None:
    (systemctl / "tenths").write_text("9")
    assert Units().build(KEY, 0.05) == Outcome("timeout")
    calls = (systemctl / "calls").read_text().splitlines()
    assert calls[-1] == f"--no-ask-password stop wheel-build@{KEY}.service"


@pytest.mark.parametrize(
    ("active", "building"),
    [("activating", True), ("active", True), ("failed", True), ("inactive", False)],
)
def test_an_end_that_nobody_looked_at_still_counts(
    systemctl: Path, active: str, building: bool
) -> None:
    says(systemctl, active, "success", 0)
    assert Units().is_building(KEY) is building


def test_leftover_units_are_found_by_their_names(systemctl: Path) -> None:
    (systemctl / "answer").write_text(
        "wheel-root@bookworm-1-1.service loaded active exited Root\n"
        "wheel-build@bookworm-1-1.service loaded failed failed Build\n"
        "wheel-root@trial-0-0.service loaded active exited Root\n"
        "wheel-root@..-x.service loaded active exited Root\n"
    )
    assert Units().keys() == {"bookworm-1-1", "trial-0-0"}


def test_no_unit_is_named_by_anything_but_a_key() -> None:
    with pytest.raises(JobError):
        Units().start_root("x.service wheelyard-builder")


def test_only_what_is_active_survives_a_clean_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = config(tmp_path)
    for name in ("bookworm-1-1", "bookworm-2-1", "lost+found"):
        (made.work_dir / name / "upper").mkdir(parents=True)
    (made.rootfs_dir / "bookworm.17.old").mkdir()
    monkeypatch.setattr(root, "_active", lambda key: key == "bookworm-1-1")
    root.clean(made)
    assert {path.name for path in made.work_dir.iterdir()} == {"bookworm-1-1", "lost+found"}
    assert (made.rootfs_dir / "bookworm.17.old").exists(), "a build may still stand on it"
    monkeypatch.setattr(root, "_active", lambda _: False)
    root.clean(made)
    assert {path.name for path in made.work_dir.iterdir()} == {"lost+found"}
    assert [path.name for path in made.rootfs_dir.iterdir()] == ["bookworm"]


def test_memory_that_ends_costs_a_build_before_the_service_and_the_service_before_the_pi() -> None:
    units = Path(__file__).parents[3] / "roles/builder/templates/etc/systemd/system"
    build, service = (
        dict(re.findall(r"^(\w+)=(.*)$", (units / name).read_text(), re.MULTILINE))
        for name in ("wheel-build@.service.j2", "wheelyard-builder.service.j2")
    )
    assert build["MemoryMax"]
    assert service["MemoryMax"]
    assert int(build["OOMScoreAdjust"]) > int(service["OOMScoreAdjust"]) > 0


@pytest.mark.parametrize("arguments", [[], ["up"], ["up", "a", "b"], ["sideways", "x"]])
def test_a_wrong_call_is_told_the_right_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    made = config(tmp_path)
    monkeypatch.setattr(settings, "load", lambda: made)
    with pytest.raises(SystemExit, match="usage: "):
        root.main(arguments)
    with pytest.raises(JobError):
        root.main(["down", "../../etc"])
