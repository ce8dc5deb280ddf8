"""Pausing, draining and upgrading Pis: who is chosen, in which order, and what fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.standins import Played, StandIns

PLAYBOOKS = Path(__file__).parents[3] / "playbooks"
PIS = [f"pi{number}" for number in range(1, 13)]
MODULES = ("builder_pause", "farm_report", "ping", "apt", "stat", "reboot", "wait_for")
# Local, and by a name that isn't taken for the control node.
LOCAL = {"ansible_connection": "ansible.builtin.local"}
FARM = {
    "all": {
        "vars": {"farm_master": "boss"},
        "children": {
            "master": {"hosts": {"boss": LOCAL}},
            "builders": {"children": {"bookworm": {"hosts": dict.fromkeys(PIS, LOCAL)}}},
        },
    }
}


class Fleet(StandIns):
    """The operator's playbooks, and a dozen Pis."""

    def run(self, name: str, *arguments: str, **answers: dict[str, Any]) -> Played:
        return self.play(f"{name}.yml", FARM, *arguments, **answers)


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    fleet = Fleet(tmp_path, MODULES)
    for name in ("pause", "resume", "drain", "upgrade", "site/ping", "tasks/drain"):
        fleet.copy(PLAYBOOKS / f"{name}.yml", f"{name}.yml")
    # How the master's modules are run there is of no interest here.
    (tmp_path / "vars").mkdir()
    (tmp_path / "vars/master.yml").write_text("{}")
    fleet.copy(PLAYBOOKS / "vars/pause.yml", "vars/pause.yml")
    return fleet


def paused(played: Played) -> dict[str, str | None]:
    """Return the Pis that were paused, with the last reason; None where they were resumed."""
    found: dict[str, str | None] = {}
    for call in played.calls:
        if call.module == "builder_pause":
            found |= dict.fromkeys(call.given["builders"], call.given.get("reason"))
    return found


def test_those_that_are_chosen_are_paused_with_the_reason_and_resumed(fleet: Fleet) -> None:
    done = fleet.run("pause", "-l", "pi3,pi5", "-e", "reason=a new fan")
    assert done.succeeded
    assert paused(done) == {"pi3": "a new fan", "pi5": "a new fan"}
    assert len(done.calls) == 1
    assert [call.given["state"] for call in fleet.run("resume").calls] == ["resumed"]


def test_a_drain_waits_for_each_that_it_has_paused(fleet: Fleet) -> None:
    done = fleet.run(
        "drain", "-l", "pi3,pi5", "-e", "reason=away", farm_report__pi3={"failed": True}
    )
    assert sorted(done.hosts("farm_report")) == ["pi3", "pi5"]
    assert paused(done) == {"pi3": "away", "pi5": "away"}
    waited = [call.given for call in done.calls if call.module == "farm_report"]
    # The longest build, and half an hour.
    assert {int(given["patience_s"]) for given in waited} == {12600}
    assert not done.succeeded


NEWS = {"changed": True}
NO_FLAG = {"stat": {"exists": False}}
FLAG = {"stat": {"exists": True}}
BROKEN = {"failed": True, "msg": "it takes no jobs"}


def test_all_are_drained_upgraded_rebooted_and_given_work_again_the_first_one_alone(
    fleet: Fleet,
) -> None:
    done = fleet.run("upgrade", apt=NEWS, stat=FLAG)
    assert done.succeeded, done.output
    assert paused(done) == dict.fromkeys(PIS)
    for pi in PIS:
        steps = [one.module for one in done.calls if one.host == pi and one.module != "ping"]
        assert steps == [
            *("apt", "apt", "stat", "builder_pause", "farm_report"),
            *("apt", "stat", "reboot", "wait_for", "builder_pause"),
        ]
    order = done.hosts("builder_pause")
    assert order[:2] == ["pi1", "pi1"]
    # A quarter, then the rest.
    assert set(order[2:8]) == {"pi2", "pi3", "pi4"}
    by = [one.given["by"] for one in done.calls if one.module == "builder_pause"]
    assert set(by) == {"upgrade"}


def test_a_pi_that_has_nothing_to_upgrade_is_neither_drained_nor_rebooted(fleet: Fleet) -> None:
    done = fleet.run("upgrade", "-l", "pi1,pi2,pi3", stat=NO_FLAG, apt__pi2=NEWS, stat__pi3=FLAG)
    assert done.succeeded, done.output
    assert done.hosts("farm_report") == ["pi2", "pi3"]
    assert done.hosts("reboot") == ["pi3"]
    # A pause that an earlier upgrade has left ends all the same, once the trial build is right.
    assert done.hosts("wait_for") == ["pi1", "pi2", "pi3"]
    assert paused(done) == dict.fromkeys(("pi1", "pi2", "pi3"))


def test_an_upgrade_that_breaks_the_first_pi_reaches_no_other(fleet: Fleet) -> None:
    done = fleet.run("upgrade", apt=NEWS, stat=NO_FLAG, wait_for=BROKEN)
    assert not done.succeeded
    reason = 'its upgrade failed at "Wait until its trial build is right": it takes no jobs'
    assert paused(done) == {"pi1": reason}
    assert f"pi1 stays paused: {reason}. When it is cured: ansible-playbook" in done.output


def test_who_fails_stays_paused_and_leaves_none_of_its_batch_behind(fleet: Fleet) -> None:
    gone = {"reboot__pi3": {"unreachable": True}, "wait_for__pi3": {"unreachable": True}}
    done = fleet.run("upgrade", apt=NEWS, stat=FLAG, farm_report__pi2=BROKEN, **gone)
    assert not done.succeeded
    reason = 'its upgrade failed at "{}": {}'.format
    assert paused(done) == {
        "pi1": None,
        "pi2": reason("Wait until the Pi holds no job", "it takes no jobs"),
        "pi3": reason("Check whether it has answered all the time", "it stopped answering"),
        "pi4": None,
    }
    # What it builds is left to it.
    assert "pi2" not in done.hosts("reboot")


def test_check_mode_shows_what_would_be_done_and_touches_nothing(fleet: Fleet) -> None:
    done = fleet.run(
        "upgrade", "--check", "-l", "pi4,pi5", "-e", "reboot=true", apt__pi4=NEWS, stat=NO_FLAG
    )
    assert done.succeeded, done.output
    assert done.hosts("reboot", check=True) == ["pi4", "pi5"]
    # The package lists alone, without which nobody could tell.
    assert done.hosts("apt") == ["pi4", "pi5"]
    assert done.hosts("builder_pause", "farm_report", "reboot", "wait_for") == []


def test_the_control_node_is_not_rebooted(fleet: Fleet) -> None:
    done = fleet.run("upgrade", "-l", "pi1", "-e", "ansible_connection=local", apt=NEWS, stat=FLAG)
    assert not done.succeeded
    assert "pi1 is the host on which this runs" in done.output
    assert done.hosts(*MODULES) == ["pi1"]
