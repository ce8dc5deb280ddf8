"""The pips of all releases, themselves, on the command line of a build."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

import pytest
from packaging.utils import parse_wheel_filename

from builder.attempt.build import Workdir
from builder.sandbox import preflight
from filter_plugins.releases import release_facts
from master.targets.registry import FACTS
from master.targets.tags import Target
from tests.support.builder import RELEASE

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "roles/builder/templates/etc/systemd/system/wheel-build@.service.j2"
RELEASES = release_facts({})
# The Python that each serves as the last, and where that is too old to be had, the oldest one.
PIPS = {
    "19.1.1": ("3.4", "3.6"),
    "20.3.4": ("3.5", "3.6"),
    "21.3.1": ("3.6", "3.6"),
    "24.0": ("3.7", "3.7"),
    "26.0.1": ("3.9", "3.9"),
    "26.3": ("3.13", "3.13"),
}
SETUP = """
import setuptools
module = setuptools.Extension("demo", ["demo.c"])
setuptools.setup(
    name="demo", version="1.0", description=setuptools.__version__, ext_modules=[module]
)
"""
MODULE = """
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "demo", NULL, -1, NULL};
PyMODINIT_FUNC PyInit_demo(void) { return PyModule_Create(&module); }
"""


# What a pip takes on another platform, in either of the ways in which it has said so.
ACCEPTED = """
import json, sys
version, abi, platform = sys.argv[1:]
try:
    from pip._internal.utils.compatibility_tags import get_supported
except ImportError:
    from pip._internal.pep425tags import get_supported
    versions = [version] + ["3%d" % minor for minor in range(int(version[1:]) - 1, -1, -1)]
    tags = ["-".join(tag) for tag in get_supported(versions, platform=platform, impl="cp", abi=abi)]
else:
    tags = map(str, get_supported(version, platforms=[platform], impl="cp", abis=[abi]))
print(json.dumps(list(tags)))
"""


@dataclass(frozen=True)
class Sandbox:
    """What wheel-build@ runs, without its walls."""

    python: Path
    pip: Path
    """Unpacked, as a rootfs has it."""
    wheels: Path
    """All that there is to fetch: the last setuptools and wheel that serve the release's Python."""
    workdir: Workdir

    def build(self) -> zipfile.ZipFile:
        """Run the unit's command in its environment, and return the wheel that comes of it."""
        # No proxy, and the kernel of this machine.
        text = re.sub(r"{% if .*?{% endif %}", "", UNIT.read_text(), flags=re.DOTALL)
        settings = [line.split("=", 1) for line in text.splitlines() if "=" in line]
        (command,) = (value for name, value in settings if name == "ExecStart")
        command = command.removeprefix("{{ __builder_setarch }}")
        variables = [
            word for name, value in settings if name == "Environment" for word in value.split()
        ]
        variables += (self.workdir.sdist / "build.env").read_text().splitlines()
        environment = dict(variable.split("=", 1) for variable in variables)
        own = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}
        result = subprocess.run(
            self._outside(command.replace("${SDIST}", environment["SDIST"])).split(),
            cwd=self.workdir.folder / "tmp",
            env={name: self._outside(value) for name, value in environment.items()} | own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout
        (wheel,) = self.workdir.wheels.iterdir()
        return zipfile.ZipFile(wheel)

    def _outside(self, text: str) -> str:
        """Return the text with the paths of the sandbox as they are here."""
        paths = {
            "/usr/bin/python3": self.python,
            "/opt/wheelyard/pip": self.pip,
            "/tmp": self.workdir.folder / "tmp",
            "/out": self.workdir.wheels,
            "/in": self.workdir.sdist,
        }
        return re.sub(rf"(?<!\w)({'|'.join(paths)})\b", lambda found: str(paths[found[0]]), text)


def download(folder: Path, python_version: str, *requirements: str) -> Path:
    """Return the folder with these wheels for a Python; once for all runs of the tests."""
    if not folder.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        options = ["--only-binary=:all:", f"--python-version={python_version}"]
        half = folder.with_suffix(".new")
        subprocess.run([*command, *options, f"--dest={half}", *requirements], check=True)
        half.rename(folder)
    return folder


def python(version: str) -> Path:
    """Return a Python of that minor version, or skip the test."""
    found = sorted((Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/python{version}"))
    path = found[-1] if found else shutil.which(f"python{version}")
    if not path:
        pytest.skip(f"there is no Python {version} on this machine, neither of pyenv nor in PATH")
    return Path(path)


@pytest.fixture(params=PIPS)
def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> Sandbox:
    version = request.param
    serves, runs_on = PIPS[version]
    interpreter = python(runs_on)
    cache = request.config.cache.mkdir("pips")
    (wheel,) = download(cache / version, serves, f"pip=={version}").iterdir()
    for release in RELEASES.values():
        if release["pip"]["version"] == version:
            assert hashlib.sha256(wheel.read_bytes()).hexdigest() == release["pip"]["sha256"]
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "pip")
    tools = download(cache / f"{version}-tools", serves, "setuptools", "wheel")
    workdir = Workdir(tmp_path)
    for folder in (workdir.sdist, workdir.wheels, tmp_path / "tmp"):
        folder.mkdir()
    return Sandbox(interpreter, tmp_path / "pip", tools, workdir)


def test_the_pip_of_each_release_is_tried() -> None:
    assert {release["pip"]["version"] for release in RELEASES.values()} <= set(PIPS)


def test_a_pip_builds_what_names_no_backend_with_the_last_setuptools_for_its_python(
    sandbox: Sandbox,
) -> None:
    with tarfile.open(sandbox.workdir.sdist / "demo-1.0.tar.gz", "w:gz") as archive:
        for name, text in {"setup.py": SETUP, "demo.c": MODULE}.items():
            member = tarfile.TarInfo(f"demo-1.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    sandbox.workdir.hand_over("demo-1.0.tar.gz", RELEASE.environment)
    with sandbox.build() as wheel:
        assert str(wheel.filename).endswith("-linux_armv7l.whl")
        metadata = HeaderParser().parsestr(wheel.read("demo-1.0.dist-info/METADATA").decode())
    (setuptools,) = sandbox.wheels.glob("setuptools-*.whl")
    assert metadata["Summary"] == str(parse_wheel_filename(setuptools.name)[1])


def test_a_pip_makes_the_trial_build(sandbox: Sandbox) -> None:
    preflight.lay_out_trial(sandbox.workdir, [], RELEASE)
    with sandbox.build() as wheel:
        facts = json.loads(wheel.read("trial-0.dist-info/facts.json"))
    assert str(wheel.filename).endswith(f"trial-0-{facts['tag']}.whl")
    # Whatever the kernel says, by the pip's own words too.
    assert facts["tag"].endswith("-linux_armv7l")
    assert facts["tag"] in facts["accepted_tags"]
    assert sandbox.python.name == f"python{facts['python_version']}"


def test_a_target_has_the_tags_that_its_own_pip_takes(sandbox: Sandbox) -> None:
    version = next(sandbox.pip.glob("pip-*.dist-info")).stem.removeprefix("pip-")
    for release in RELEASES.values():
        if release["pip"]["version"] != version:
            continue
        target = Target(1, **{fact: release[fact] for fact in FACTS})
        python_version = target.python_version.replace(".", "")
        said = subprocess.run(
            [sandbox.python, "-c", ACCEPTED, python_version, target.abi_tag, target.platform_tag],
            env={"PYTHONPATH": str(sandbox.pip)},
            stdout=subprocess.PIPE,
            check=True,
        )
        theirs = set(json.loads(said.stdout))
        # ARMv6 is Raspbian's own promise. Before 20, pip knew no platform of a minor version alone.
        odd = re.compile(r".*-linux_armv6l|py3\d+-none-linux_\w+")
        ours = {tag for tag in map(str, target.tags()) if tag in theirs or not odd.fullmatch(tag)}
        assert ours <= theirs
        assert theirs - ours <= {"cp3-none-any"}
