"""Which Pi builds for which release, and what kernel its builds see."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from filter_plugins.releases import release_facts
from tests.support.standins import Played, StandIns

ROLES = Path(__file__).parents[3] / "roles"
UNIT = ROLES / "builder/templates/etc/systemd/system/wheel-build@.service.j2"
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
RELEASES = {"armhf": release_facts({})["stretch"], "arm64": release_facts({})["trixie64"]}
# Debian's architecture of the release, that of the Pi's system, and the machine of its kernel.
BUILD = {
    "armhf armhf armv7l": "a 32-bit Pi",
    "armhf armhf aarch64": "a Pi 4 or 5 with a 32-bit system",
    "armhf arm64 aarch64": "a Pi 5 with a 64-bit system",
    "arm64 arm64 aarch64": "a 64-bit Pi",
}
DONT = {
    "armhf armhf armv6l": "a Pi 1 or Zero has no ARMv7",
    "armhf amd64 x86_64": "install Raspberry Pi OS, of 32 or 64 bits",
    "arm64 armhf armv7l": "install the 64-bit Raspberry Pi OS",
    "arm64 armhf aarch64": "install the 64-bit Raspberry Pi OS",
}


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Return what the role rootfs says on each of these Pis."""
    pi = StandIns(tmp_path_factory.mktemp("rootfs"), ("command",))
    pi.copy(ROLES / "rootfs/tasks/machine.yml", "roles/rootfs/tasks/main.yml")
    shutil.copytree(ROLES / "rootfs/vars", pi.folder / "roles/rootfs/vars")
    seen = {"machine": "{{ kernel }}", "cacheable": True}
    play = {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {"ansible.builtin.set_fact": seen},
            {"ansible.builtin.import_role": {"name": "rootfs"}},
        ],
    }
    (pi.folder / "play.yml").write_text(yaml.safe_dump([play]))
    hosts, answers = {}, {}
    for case in [*BUILD, *DONT]:
        release, system, kernel = case.split()
        name = case.replace(" ", "-")
        hosts[name] = {**LOCAL, "kernel": kernel, "rootfs_release": RELEASES[release]}
        answers[f"command__{name}"] = {"stdout": system}
    return pi.play("play.yml", {"all": {"hosts": hosts}}, **answers)


@pytest.mark.parametrize("case", BUILD, ids=BUILD.values())
def test_a_pi_builds_for_what_its_kernel_and_its_system_can_run(case: str, checked: Played) -> None:
    assert f"{case.replace(' ', '-')} : ok=3 " in checked.output


@pytest.mark.parametrize(("case", "cure"), DONT.items())
def test_a_pi_that_can_not_run_a_rootfs_is_told_the_cure(
    case: str, cure: str, checked: Played
) -> None:
    release, system, kernel = case.split()
    says = f"The system of {case.replace(' ', '-')} is for {system} and its kernel says {kernel}; "
    says += f"that can't build for {RELEASES[release]['name']}: "
    assert cure in checked.output.partition(says)[2][:150]


@pytest.mark.parametrize(
    ("machine", "architecture", "differs"),
    [
        ("armv7l", "armhf", False),
        ("aarch64", "arm64", False),
        ("aarch64", "armhf", True),
        # A virtual Pi's kernel; its rootfs is emulated.
        ("x86_64", "armhf", False),
    ],
)
def test_a_64_bit_kernel_shows_32_bit_builds_a_32_bit_machine_and_takes_their_calls(
    machine: str, architecture: str, *, differs: bool
) -> None:
    loader = DataLoader()
    variables = {"ansible_facts": {"machine": machine}}
    variables["builder_release"] = {"architecture": architecture}
    for folder in ("defaults", "vars"):
        path = str(ROLES / f"builder/{folder}/main.yml")
        variables |= loader.load_from_file(path, trusted_as_template=True)
    text = Templar(loader, variables).template(trust_as_template(UNIT.read_text()))
    unit = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    command = "/usr/bin/setarch ${PERSONALITY} " if differs else ""
    assert unit["ExecStart"].startswith(f"{command}/usr/bin/python3 -m pip wheel ")
    assert unit["SystemCallArchitectures"] == ("native arm" if differs else "native")
    # A personality that is locked is one that setarch can't set.
    assert unit["LockPersonality"] == ("no" if differs else "yes")
