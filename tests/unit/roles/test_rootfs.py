"""How a rootfs is made: mmdebstrap's words, since not every mirror can be tried, and the rest."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from filter_plugins.releases import release_facts
from master.status.render import OLD_ROOTFS
from protocol import fields
from tests.support import ansible

TEMPLATES = ansible.ROOT / "roles/rootfs/templates/etc/systemd/system"
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
    "tasks": [
        {
            "ansible.builtin.import_role": {"name": "rootfs", "tasks_from": "mirror.yml"},
            "when": "rootfs_tarball | length == 0",
        },
        {"ansible.builtin.import_role": {"name": "rootfs", "tasks_from": "script.yml"}},
    ],
}
CHECK = {
    **PLAY,
    "tasks": [{"ansible.builtin.import_role": {"name": "rootfs", "tasks_from": "main.yml"}}],
}
UNITS = {
    **PLAY,
    "tasks": [
        {
            "ansible.builtin.import_role": {"name": "rootfs", "tasks_from": "main.yml"},
            "when": False,
        },
        {
            "ansible.builtin.template": {
                "src": f"{TEMPLATES}/{{{{ item }}}}.j2",
                "dest": "{{ __rootfs_dir }}/{{ item }}",
            },
            "loop": ["wheelyard-rootfs@.service", "wheelyard-rootfs@.timer"],
        },
    ],
}
# Of what a Pi has there, each for what it is asked.
APT_GET = """#!/bin/sh
[ "$*" = 'indextargets --format=$(REPO_URI) Created-By: Packages Origin: Debian Label: Debian' ] &&
    printf '%s\\n' http://deb.example/debian/ http://deb.example/debian/
"""
MMDEBSTRAP = """#!/bin/sh
for word; do case $word in *.new) new=$word ;; esac; done
printf '%s\\n' "$@" > "$new.argv"
mkdir -p "$new/etc" && touch "$new/etc/group" "$new/etc/passwd"
[ ! -e "$new.fails" ]
"""
# The version of gcc in the mirror is what the file says.
DPKG_QUERY = """#!/bin/sh
case $* in
*Version*) printf 'gcc %s armhf\\n' "$(cat "${0%/*}/version")" ;;
*) printf 'ii  gcc\\nrc  make\\n' ;;
esac
"""
NOTES = """#!/bin/sh
printf '%s %s\\n' "${0##*/}" "$*" >> "${0%/*}/noted"
"""
PROGRAMS = {
    "apt-get": APT_GET,
    "mmdebstrap": MMDEBSTRAP,
    "dpkg-query": DPKG_QUERY,
    "systemd-run": NOTES,
    "groupadd": NOTES,
    "useradd": NOTES,
    "sync": NOTES,
}
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


def make(
    folder: Path, *arguments: str, play: dict[str, Any] = PLAY
) -> subprocess.CompletedProcess[str]:
    """Run the tasks for each release; in the folder is the script that makes its rootfs."""
    for name, script in PROGRAMS.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    (folder / "version").write_text("12.2.0-14\n")
    for name, facts in RELEASES.items():
        (folder / f"{name}.extras").mkdir()
        python = "py3" if int(facts["pip"]["version"].split(".")[0]) >= 21 else "py2.py3"
        wheel = f"pip-{facts['pip']['version']}-{python}-none-any.whl"
        with zipfile.ZipFile(folder / f"{name}.extras" / wheel, "w") as archive:
            archive.writestr("pip/__init__.py", "")
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    for keyring in (RASPBIAN, DEBIAN):
        path = folder / keyring.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    options = ["-i", ",".join(RELEASES), "-e", f"__rootfs_dir={folder}", *arguments]
    search = environment(folder)["PATH"]
    return ansible.run("ansible-playbook", *options, folder / "play.yml", PATH=search)


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


def start(folder: Path, name: str) -> int:
    """Make the rootfs of a release as site.yml and the timer do; return the exit status."""
    script = folder / f"{name}.sh"
    return subprocess.run([script], env=environment(folder), check=False).returncode


def marker(folder: Path, name: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((folder / name / "etc/wheelyard-rootfs.json").read_text())
    return said


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rootfs")
    result = make(folder)
    assert result.returncode == 0, result.stdout + result.stderr
    for name in RELEASES:
        assert start(folder, name) == 0
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
    assert start(tmp_path, "trixie64") == 0
    argv = (tmp_path / "trixie64.new.argv").read_text().splitlines()
    assert argv[-1] == f"deb {own} trixie main contrib non-free"


@pytest.fixture(scope="module")
def pi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of rootfs of a Pi that was just provisioned for bookworm."""
    folder = tmp_path_factory.mktemp("pi")
    certificate = folder / "it's ours.pem"
    certificate.write_text("a certificate")
    authorities = json.dumps({"rootfs_authorities": [str(certificate)]})
    result = make(folder, "-l", "bookworm", "-e", authorities)
    assert result.returncode == 0, result.stdout + result.stderr
    (folder / "bookworm.extras" / "it's ours.crt").write_text("a certificate")
    assert start(folder, "bookworm") == 0
    return folder


def test_a_rootfs_has_pip_the_user_of_builds_and_the_farms_cas(pi: Path) -> None:
    tree, new = pi / "bookworm", pi / "bookworm.new"
    assert (tree / "opt/wheelyard/pip/pip/__init__.py").exists()
    assert (tree / "usr/local/share/ca-certificates/wheelyard-it's ours.crt").exists()
    assert (tree / "etc/hosts").read_text() == "127.0.0.1 localhost\n::1 localhost\n"
    assert (tree / "etc/resolv.conf").read_text() == ""
    inside = (
        f"systemd-run --quiet --wait --pipe --collect --property=RootDirectory={new} "
        "--property=MountAPIVFS=yes --property=PrivateDevices=yes "
        "--property=BindReadOnlyPaths=/etc/resolv.conf --setenv=DEBIAN_FRONTEND=noninteractive "
        "--setenv=LC_ALL=C.UTF-8 --"
    )
    user = "--home-dir=/nonexistent --no-create-home --shell=/usr/sbin/nologin nobody"
    assert (pi / "noted").read_text().splitlines() == [
        f"groupadd --prefix={new} --gid=65534 nobody",
        f"useradd --prefix={new} --uid=65534 --gid=65534 {user}",
        f"{inside} python3 -m compileall -q /opt/wheelyard/pip",
        f"{inside} update-ca-certificates",
        f"sync --file-system {new}",
    ]


def test_a_rootfs_says_when_it_was_made_and_of_what(pi: Path) -> None:
    said = marker(pi, "bookworm")
    assert said["made_of"]["packages"] == sorted(RELEASES["bookworm"]["apt_packages"])
    made_of = (pi / "bookworm.extras/made_of.json").read_bytes()
    assert said["digest"] == hashlib.sha256(made_of + b"gcc 12.2.0-14 armhf\n").hexdigest()
    assert fields.time(said["made_at"])


def test_one_made_anew_takes_the_place_of_the_old_in_which_builds_go_on(tmp_path: Path) -> None:
    assert make(tmp_path, "-l", "bookworm").returncode == 0
    assert start(tmp_path, "bookworm") == 0
    first = marker(tmp_path, "bookworm")
    (tmp_path / "bookworm/old").touch()
    (tmp_path / "version").write_text("12.2.0-14+deb12u1\n")
    assert start(tmp_path, "bookworm") == 0
    assert not (tmp_path / "bookworm/old").exists()
    (replaced,) = tmp_path.glob("bookworm.*.old")
    assert (replaced / "old").exists()
    second = marker(tmp_path, "bookworm")
    assert first["made_of"] == second["made_of"]
    assert first["digest"] != second["digest"]


def test_a_try_that_fails_leaves_the_rootfs_as_it_was(tmp_path: Path) -> None:
    assert make(tmp_path, "-l", "bookworm").returncode == 0
    assert start(tmp_path, "bookworm") == 0
    first = marker(tmp_path, "bookworm")
    (tmp_path / "bookworm.new.fails").touch()
    assert start(tmp_path, "bookworm") != 0
    assert marker(tmp_path, "bookworm") == first
    (tmp_path / "bookworm.new.fails").unlink()
    assert start(tmp_path, "bookworm") == 0
    assert not (tmp_path / "bookworm.new").exists()


def tarball(folder: Path) -> Path:
    """Return a tarball of a release with gcc, in which make was removed."""
    (folder / "tree/etc").mkdir(parents=True)
    (folder / "tree/etc/group").write_text("nobody:x:65534:\n")
    (folder / "tree/etc/passwd").write_text("nobody:x:65534:65534::/:/bin/sh\n")
    with tarfile.open(folder / "bookworm.tar", "w") as archive:
        archive.add(folder / "tree", ".")
    return folder / "bookworm.tar"


def test_a_tarball_gets_the_packages_that_it_lacks(tmp_path: Path) -> None:
    told = {
        "rootfs_tarball": str(tarball(tmp_path)),
        "rootfs_apt_packages": ["gcc", "make"],
        "__rootfs_tarball": {"stat": {"checksum": "0a" * 32}},
    }
    result = make(tmp_path, "-l", "bookworm", "-e", json.dumps(told))
    assert result.returncode == 0, result.stdout
    assert start(tmp_path, "bookworm") == 0
    noted = (tmp_path / "noted").read_text()
    assert [line.split(" -- ")[1] for line in noted.splitlines() if " -- " in line] == [
        "apt-get update --quiet=2",
        "apt-get install --quiet=2 --yes --no-install-recommends make",
        "apt-get clean",
        "python3 -m compileall -q /opt/wheelyard/pip",
    ]
    assert "useradd" not in noted
    assert "groupadd" not in noted
    assert marker(tmp_path, "bookworm")["made_of"]["source"] == "0a" * 32


@pytest.mark.parametrize(("digest", "is_taken"), [("", True), ("own", True), ("0a" * 32, False)])
def test_a_tarball_with_another_checksum_than_was_given_is_refused(
    tmp_path: Path, digest: str, is_taken: bool
) -> None:
    path = tarball(tmp_path)
    own = hashlib.sha256(path.read_bytes()).hexdigest()
    told = {
        "rootfs_tarball": str(path),
        "rootfs_tarball_sha256": own if digest == "own" else digest,
    }
    result = make(tmp_path, "--check", "-l", "bookworm", "-e", json.dumps(told), play=CHECK)
    assert (result.returncode == 0) == is_taken, result.stdout
    assert (f"has sha256 {own}, and rootfs_tarball_sha256 is" in result.stdout) != is_taken


def test_a_rootfs_is_made_anew_when_it_is_old_and_the_disk_has_room(tmp_path: Path) -> None:
    result = make(tmp_path, "-l", "bookworm", play=UNITS)
    assert result.returncode == 0, result.stdout
    unit = (tmp_path / "wheelyard-rootfs@.service").read_text()
    conditions = [
        line.split("=", 1)[1] for line in unit.splitlines() if line.startswith("ExecCondition")
    ]
    age, room = (condition.replace("%i", "bookworm").replace("$$", "$") for condition in conditions)
    (tmp_path / "df").write_text("#!/bin/sh\nprintf 'Avail\\n%s\\n' \"$FREE\"\n")
    (tmp_path / "df").chmod(0o755)

    def holds(condition: str, **variables: str) -> bool:
        variables |= environment(tmp_path)
        return subprocess.run(condition, shell=True, env=variables, check=False).returncode == 0

    assert not holds(age)
    made = tmp_path / "bookworm/etc/wheelyard-rootfs.json"
    made.parent.mkdir(parents=True)
    made.touch()
    assert not holds(age)
    past = made.stat().st_mtime - (OLD_ROOTFS / 2 + timedelta(hours=1)).total_seconds()
    os.utime(made, (past, past))
    assert holds(age)
    os.utime(made, (past + 86400, past + 86400))
    assert not holds(age)
    assert holds(room, FREE=str(4 << 30))
    assert not holds(room, FREE=str(3 << 30))
