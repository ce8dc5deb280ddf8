"""How a rootfs is made from its mirror: word for word, since not every mirror can be tried."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from filter_plugins.releases import release_facts
from tests.support import ansible

RELEASES = release_facts({})
PLAY = {
    "hosts": "all",
    "connection": "local",
    "gather_facts": False,
    "vars": {
        "ansible_python_interpreter": sys.executable,
        "rootfs_release": "{{ ({} | release_facts)[inventory_hostname] }}",
        "rootfs_keyring": "{{ __rootfs_dir }}{{ rootfs_release.keyring }}",
        "rootfs_user": "nobody",
        "rootfs_uid": 65534,
    },
    "tasks": [{"ansible.builtin.import_role": {"name": "rootfs", "tasks_from": "mirror.yml"}}],
}
# Of what a Pi has there, each for what it is asked.
APT_GET = """#!/bin/sh
[ "$*" = 'indextargets --format=$(REPO_URI) Created-By: Packages Origin: Debian Label: Debian' ] &&
    printf '%s\\n' http://deb.example/debian/ http://deb.example/debian/
"""
MMDEBSTRAP = """#!/bin/sh
for word; do case $word in *.new) printf '%s\\n' "$@" > "$word.argv" ;; esac; done
"""
RASPBIAN = "/usr/share/keyrings/raspbian-archive-keyring.gpg"
DEBIAN = "/usr/share/keyrings/debian-archive-keyring.gpg"
EXPIRED = '--aptopt=Acquire::Check-Valid-Until "false"'
LEGACY = "http://legacy.raspbian.org/raspbian/"
OLD = "http://raspbian.raspberrypi.org/raspbian/"
PI_OS = "http://raspbian.raspberrypi.com/raspbian/"
OWN = "http://deb.example/debian/"
EXPECTED = {
    "jessie": ("armhf", RASPBIAN, EXPIRED, f"deb {LEGACY} jessie main contrib non-free rpi"),
    "stretch": ("armhf", RASPBIAN, EXPIRED, f"deb {LEGACY} stretch main contrib non-free rpi"),
    "buster": ("armhf", RASPBIAN, EXPIRED, f"deb {LEGACY} buster main contrib non-free rpi"),
    "bullseye": ("armhf", RASPBIAN, "", f"deb {OLD} bullseye main contrib non-free rpi"),
    "bookworm": ("armhf", RASPBIAN, "", f"deb {PI_OS} bookworm main contrib non-free rpi"),
    "trixie": ("armhf", RASPBIAN, "", f"deb {PI_OS} trixie main contrib non-free rpi"),
    "bookworm64": ("arm64", DEBIAN, "", f"deb {OWN} bookworm main contrib non-free"),
    "trixie64": ("arm64", DEBIAN, "", f"deb {OWN} trixie main contrib non-free"),
}


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the tasks for each release; in the folder is what mmdebstrap was told."""
    for name, script in {"apt-get": APT_GET, "mmdebstrap": MMDEBSTRAP}.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    (folder / "play.yml").write_text(yaml.safe_dump([PLAY]))
    for keyring in (RASPBIAN, DEBIAN):
        path = folder / keyring.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    options = ["-i", ",".join(RELEASES), "-e", f"__rootfs_dir={folder}", *arguments]
    search = f"{folder}:{os.environ['PATH']}"
    return ansible.run("ansible-playbook", *options, folder / "play.yml", PATH=search)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rootfs")
    result = make(folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


@pytest.mark.parametrize("name", RELEASES)
def test_a_rootfs_is_made_of_the_packages_that_its_release_names(name: str, told: Path) -> None:
    architecture, keyring, expired, apt_line = EXPECTED[name]
    words = [
        "--variant=minbase",
        "--format=directory",
        f"--architectures={architecture}",
        f"--include={','.join(RELEASES[name]['apt_packages'])}",
        f"--keyring={told}{keyring}",
        '--aptopt=Acquire::Retries "3"',
        expired,
        name.removesuffix("64"),
        f"{told}/{name}.new",
        apt_line,
    ]
    argv = (told / f"{name}.new.argv").read_text().splitlines()
    assert argv == [word for word in words if word]


def test_a_farms_own_mirror_comes_before_that_of_the_pi(tmp_path: Path) -> None:
    own = "http://mirror.example/debian/"
    result = make(tmp_path, "-l", "trixie64", "-e", f"rootfs_mirror={own}")
    assert result.returncode == 0, result.stdout
    argv = (tmp_path / "trixie64.new.argv").read_text().splitlines()
    assert argv[-1] == f"deb {own} trixie main contrib non-free"
