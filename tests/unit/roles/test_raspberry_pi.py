"""What a Pi is made to boot and to swap with, on files in the place of its own."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.standins import Played, StandIns

ROLE = Path(__file__).parents[3] / "roles/raspberry_pi"
FILES = ("model", "controllers", "meminfo", "reboot_flag", "zram_settings", "own_swap")
CONFIG = "dtparam=audio=on\n[pi5]\ndtoverlay=dwc2\n"
CMDLINE = "console=tty1 root=PARTUUID=1-02 rootwait\n"
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
FARM = {"all": {"hosts": {"pi1": LOCAL}}}


class Pi(StandIns):
    """A Pi 4 with 1 GiB, whose kernel is a 64-bit one and doesn't limit memory."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, ("apt", "systemd_service", "command"))
        for name in ("defaults", "templates", "vars"):
            shutil.copytree(ROLE / name, folder / "roles/raspberry_pi" / name)
        for tasks in ROLE.glob("tasks/*.yml"):
            self.copy(tasks, f"roles/raspberry_pi/tasks/{tasks.name}")
        play = {"hosts": "all", "gather_facts": False, "roles": ["raspberry_pi"]}
        (folder / "play.yml").write_text(yaml.safe_dump([play]))
        self.write("boot/config.txt", CONFIG)
        self.write("boot/cmdline.txt", CMDLINE)
        self.write("model", "Raspberry Pi 4 Model B Rev 1.4\0")
        self.write("controllers", "cpuset cpu io pids\n")
        self.write("meminfo", "MemTotal:         948012 kB\nMemFree:          512 kB\n")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(exist_ok=True)
        (self.folder / name).write_text(text)

    def read(self, name: str) -> str | None:
        path = self.folder / name
        return path.read_text() if path.exists() else None

    def provision(self, *arguments: str, architecture: str = "armhf", **settings: Any) -> Played:
        variables = {
            **{f"__raspberry_pi_{name}": f"{self.folder}/{name}" for name in FILES},
            "__raspberry_pi_boot_folders": [f"{self.folder}/firmware", f"{self.folder}/boot"],
            "__raspberry_pi_machine": "aarch64",
            **settings,
        }
        arguments = ("-e", json.dumps(variables), *arguments)
        return self.play("play.yml", FARM, *arguments, command={"stdout": architecture})


@pytest.fixture
def pi(tmp_path: Path) -> Pi:
    return Pi(tmp_path)


def test_a_pi_limits_memory_and_swaps_and_a_reboot_is_asked_for(pi: Pi) -> None:
    first = pi.provision()
    assert first.succeeded, first.output
    assert pi.read("boot/cmdline.txt") == CMDLINE.replace("wait\n", "wait cgroup_enable=memory\n")
    assert pi.read("boot/config.txt") == CONFIG
    assert pi.read("reboot_flag") == "*** System restart required ***\n"
    says = "pi1 has limits on memory only after a reboot: ansible-playbook playbooks/upgrade.yml"
    assert says in first.output
    assert [call.given["name"] for call in first.calls] == [
        "systemd-zram-generator",
        "dev-zram0.swap",
    ]
    assert (pi.read("zram_settings") or "").endswith("\n[zram0]\nzram-size = ram / 2\n")
    # Until then, the next run has nothing to change and says it again.
    again = pi.provision()
    assert " changed=0 " in again.output
    assert says in again.output


def test_a_pi_that_limits_memory_and_has_much_of_it_is_left_alone(pi: Pi) -> None:
    pi.write("controllers", "cpuset cpu io memory pids\n")
    pi.write("meminfo", "MemTotal:        3884328 kB\n")
    done = pi.provision()
    assert " changed=0 " in done.output
    assert "after a reboot" not in done.output
    assert done.calls == []


def test_a_32_bit_kernel_is_booted_where_it_is_wanted_and_for_all_models(pi: Pi) -> None:
    pi.write("controllers", "memory\n")
    done = pi.provision(raspberry_pi_32bit_kernel=True)
    assert "pi1 has a 32-bit kernel only after a reboot" in done.output
    chosen = pi.read("boot/config.txt") or ""
    # Behind the section of another model, so in one of its own.
    assert chosen.startswith(CONFIG)
    assert "\n[all]\narm_64bit=0\n" in chosen
    booted = pi.provision(raspberry_pi_32bit_kernel=True, __raspberry_pi_machine="armv7l")
    assert " changed=0 " in booted.output
    assert "after a reboot" not in booted.output
    pi.provision()
    assert pi.read("boot/config.txt") == CONFIG


@pytest.mark.parametrize(
    ("model", "architecture"),
    [("Raspberry Pi 5 Model B Rev 1.0\0", "armhf"), ("Raspberry Pi 4 Model B Rev 1.4\0", "arm64")],
)
def test_what_could_not_boot_a_32_bit_kernel_is_not_told_to(
    pi: Pi, model: str, architecture: str
) -> None:
    pi.write("model", model)
    done = pi.provision(architecture=architecture, raspberry_pi_32bit_kernel=True)
    assert not done.succeeded
    words = f"it is a {model[:-1]}, and its system is for {architecture}. Use the 32-bit Raspberry"
    assert words in done.output
    assert pi.read("boot/config.txt") == CONFIG


def test_a_release_that_makes_swap_by_itself_is_left_to_it(pi: Pi) -> None:
    pi.write("own_swap", "#!")
    assert pi.provision().calls == []
    assert pi.read("zram_settings") is None


def test_a_pi_that_boots_from_the_network_has_compressed_swap_too(pi: Pi) -> None:
    (pi.folder / "boot/config.txt").unlink()
    done = pi.provision()
    assert done.succeeded, done.output
    assert done.hosts("apt") == ["pi1"]
    assert pi.read("boot/cmdline.txt") == CMDLINE


def test_another_computer_is_left_alone(pi: Pi) -> None:
    (pi.folder / "model").unlink()
    done = pi.provision()
    assert (done.succeeded, done.calls) == (True, [])
    assert (pi.read("boot/cmdline.txt"), pi.read("reboot_flag")) == (CMDLINE, None)


def test_check_mode_shows_what_would_change_and_changes_nothing(pi: Pi) -> None:
    done = pi.provision("--check", "--diff", raspberry_pi_32bit_kernel=True)
    assert done.succeeded, done.output
    assert "+arm_64bit=0" in done.output
    assert "+console=tty1 root=PARTUUID=1-02 rootwait cgroup_enable=memory" in done.output
    assert (pi.read("boot/config.txt"), pi.read("boot/cmdline.txt")) == (CONFIG, CMDLINE)
    assert pi.read("reboot_flag") is None
