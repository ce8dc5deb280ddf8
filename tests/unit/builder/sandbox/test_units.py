"""What systemctl says is told apart: the package's failure from the Pi's, an end from none."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from builder import config as settings
from builder.sandbox import overlay, units
from builder.sandbox.units import UnitError, Units
from protocol import MessageError
from protocol.result import UnitResult
from tests.support.builder import config

ROOT = Path(__file__).parents[4]
UNITS = ROOT / "roles/builder/templates/etc/systemd/system"
KEY = "bookworm-1-1"


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a systemctl that notes its arguments, and answers `show` and `list-units` from a file.

    What a `start` or the time leads to stands in another one, which takes the first one's place.
    """
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        f'echo "$*" >> {tmp_path}/calls\n'
        'case "$2" in\n'
        f"show) cat {tmp_path}/answer; mv -f {tmp_path}/later {tmp_path}/answer ;;\n"
        f"list-units) cat {tmp_path}/answer ;;\n"
        f"start) mv -f {tmp_path}/ended {tmp_path}/answer\n"
        f"  exec sleep 0.$(cat {tmp_path}/tenths) ;;\n"
        "esac\n"
        "exit 0\n"
    )
    program.chmod(0o755)
    (tmp_path / "tenths").write_text("0")
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return tmp_path


def says(systemctl: Path, active: str, result: str, status: int, *, name: str = "answer") -> None:
    (systemctl / name).write_text(
        f"ActiveState={active}\nResult={result}\nExecMainStatus={status}\n"
    )


def starts(systemctl: Path) -> list[str]:
    """Return the units that were started."""
    calls = [line.split() for line in (systemctl / "calls").read_text().splitlines()]
    return [words[-1] for words in calls if words[1] == "start"]


@pytest.mark.parametrize(
    ("active", "result", "status", "outcome"),
    [
        ("active", "success", 0, UnitResult("success", 0)),
        ("failed", "exit-code", 1, UnitResult("exit-code", 1)),
        ("failed", "timeout", 15, UnitResult("timeout", 15)),
        ("failed", "oom-kill", 9, UnitResult("oom-kill", 9)),
        ("failed", "core-dump", 11, UnitResult("core-dump", 11)),
    ],
)
def test_the_build_s_end_is_what_systemd_says(
    systemctl: Path, active: str, result: str, status: int, outcome: UnitResult
) -> None:
    says(systemctl, "inactive", "success", 0)
    says(systemctl, active, result, status, name="ended")
    assert Units().build(KEY) == outcome
    assert starts(systemctl) == [f"wheel-build@{KEY}.service"]


@pytest.mark.parametrize(
    ("active", "result", "status"),
    [("failed", "exit-code", 226), ("failed", "resources", 0), ("inactive", "success", 0)],
)
def test_a_sandbox_that_was_not_set_up_is_the_pi_s_fault(
    systemctl: Path, active: str, result: str, status: int
) -> None:
    says(systemctl, "inactive", "success", 0)
    says(systemctl, active, result, status, name="ended")
    with pytest.raises(UnitError, match=f"journalctl -u wheel-build@{KEY}"):
        Units().build(KEY)


def test_a_trial_s_own_time_limit_stops_it(systemctl: Path) -> None:
    says(systemctl, "inactive", "success", 0)
    (systemctl / "tenths").write_text("9")
    assert Units().build(KEY, 0.05) == UnitResult("timeout")
    calls = (systemctl / "calls").read_text().splitlines()
    assert calls[-1] == f"--no-ask-password stop wheel-build@{KEY}.service"


@pytest.mark.parametrize(
    ("result", "status", "outcome"),
    [
        ("exit-code", 1, UnitResult("exit-code", 1)),
        ("oom-kill", 9, UnitResult("oom-kill", 9)),
        ("signal", 15, UnitResult("signal", 15)),
    ],
)
def test_a_build_that_failed_while_nobody_looked_is_not_begun_again(
    systemctl: Path, result: str, status: int, outcome: UnitResult
) -> None:
    says(systemctl, "failed", result, status)
    assert Units().build(KEY) == outcome
    assert starts(systemctl) == []


@pytest.mark.parametrize("active", ["activating", "deactivating"])
def test_a_build_under_way_is_waited_for_and_not_begun_again(
    systemctl: Path, monkeypatch: pytest.MonkeyPatch, active: str
) -> None:
    monkeypatch.setattr(units, "_POLL_S", 0.0)
    says(systemctl, active, "success", 0)
    says(systemctl, "failed", "exit-code", 1, name="later")
    assert Units().build(KEY) == UnitResult("exit-code", 1)
    assert starts(systemctl) == []


def test_a_build_that_was_stopped_before_it_was_looked_at_is_not_begun_again(
    systemctl: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "_POLL_S", 0.0)
    says(systemctl, "deactivating", "success", 0)
    says(systemctl, "inactive", "success", 0, name="later")
    with pytest.raises(UnitError, match="it is inactive"):
        Units().build(KEY)
    assert starts(systemctl) == []


def test_a_new_root_is_for_a_new_build(systemctl: Path) -> None:
    Units().start_root(KEY)
    assert (systemctl / "calls").read_text().splitlines() == [
        f"--no-ask-password reset-failed wheel-build@{KEY}.service",
        f"--no-ask-password start wheel-root@{KEY}.service",
    ]


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
    with pytest.raises(MessageError):
        Units().start_root("x.service wheelyard-builder")


def test_only_what_is_active_survives_a_clean_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = config(tmp_path)
    for name in ("bookworm-1-1", "bookworm-2-1", "lost+found"):
        (made.work_dir / name / "upper").mkdir(parents=True)
    (made.rootfs_dir / "bookworm.17.old").mkdir()
    monkeypatch.setattr(overlay, "_active", lambda key: key == "bookworm-1-1")
    overlay.clean(made)
    assert {path.name for path in made.work_dir.iterdir()} == {"bookworm-1-1", "lost+found"}
    assert (made.rootfs_dir / "bookworm.17.old").exists(), "a build may still stand on it"
    monkeypatch.setattr(overlay, "_active", lambda _: False)
    overlay.clean(made)
    assert {path.name for path in made.work_dir.iterdir()} == {"lost+found"}
    assert [path.name for path in made.rootfs_dir.iterdir()] == ["bookworm"]


def test_a_replaced_rootfs_goes_with_the_last_build_that_may_stand_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = config(tmp_path)
    for key in ("bookworm-1-1", "bookworm-2-1"):
        (made.work_dir / key / "upper").mkdir(parents=True)
    # Half removed by one that was cut off, and whole.
    for old in ("bookworm.17.old", "bookworm.18.old/usr/bin"):
        (made.rootfs_dir / old).mkdir(parents=True)
    monkeypatch.setattr(settings, "load", lambda: made)
    monkeypatch.setattr(overlay, "_active", lambda _: True)
    overlay.main(["down", "bookworm-1-1"])
    assert len(list(made.rootfs_dir.glob("*.old"))) == 2
    overlay.main(["down", "bookworm-2-1"])
    assert [path.name for path in made.rootfs_dir.iterdir()] == ["bookworm"]


def test_a_rootfs_that_is_put_aside_while_builds_are_looked_at_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = config(tmp_path)
    (made.work_dir / "bookworm-1-1").mkdir()
    (made.rootfs_dir / "bookworm.17.old").mkdir()

    def begins_a_moment_later(_: str) -> bool:
        made.rootfs.rename(made.rootfs_dir / "bookworm.18.old")
        return False

    monkeypatch.setattr(overlay, "_active", begins_a_moment_later)
    overlay.remove_replaced(made)
    assert [path.name for path in made.rootfs_dir.iterdir()] == ["bookworm.18.old"]


@pytest.mark.parametrize(
    ("state", "stays"),
    [
        ("activating", True),
        ("active", True),
        ("deactivating", True),
        # A systemd that doesn't answer is no reason to remove anything.
        ("", True),
        ("failed", False),
        ("inactive", False),
    ],
)
def test_a_root_that_is_being_made_or_removed_is_left_to_its_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, stays: bool
) -> None:
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "{state}"\n[ "{state}" = active ]\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    made = config(tmp_path)
    folder, old = made.work_dir / "bookworm-1-1", made.rootfs_dir / "bookworm.17.old"
    folder.mkdir()
    old.mkdir()
    overlay.clean(made)
    assert (folder.exists(), old.exists()) == (stays, stays)


def test_memory_that_ends_costs_a_build_before_the_service_and_the_service_before_the_pi() -> None:
    build, service = (
        dict(re.findall(r"^(\w+)=(.*)$", (UNITS / name).read_text(), re.MULTILINE))
        for name in ("wheel-build@.service.j2", "wheelyard-builder.service.j2")
    )
    assert build["MemoryMax"]
    assert service["MemoryMax"]
    assert int(build["OOMScoreAdjust"]) > int(service["OOMScoreAdjust"]) > 0


def test_a_build_sees_that_a_farm_builds_it() -> None:
    lines = (UNITS / "wheel-build@.service.j2").read_text().splitlines()
    said = [line.removeprefix("Environment=") for line in lines if line.startswith("Environment=")]
    assert "WHEELYARD_BUILD=1" in shlex.split(" ".join(said))
    assert "`WHEELYARD_BUILD=1`" in (ROOT / "README.md").read_text()


def test_the_builder_waits_for_nothing_that_may_never_come() -> None:
    text = (UNITS / "wheelyard-builder.service.j2").read_text()
    # systemd-time-wait-sync.service(8), where it is enabled, has no time-out.
    assert "time-sync.target" not in text


@pytest.mark.parametrize("arguments", [[], ["up"], ["up", "a", "b"], ["sideways", "x"]])
def test_a_wrong_call_is_told_the_right_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    made = config(tmp_path)
    monkeypatch.setattr(settings, "load", lambda: made)
    with pytest.raises(SystemExit, match="usage: "):
        overlay.main(arguments)
    with pytest.raises(MessageError):
        overlay.main(["down", "../../etc"])
