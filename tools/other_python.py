"""Run tests on another Python than this one: python -m tools.other_python tests/unit

Takes a Python 3.11 to 3.13 of this machine where there is one that works, and else that of the
other Debian release, in a container.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from lab import image, mirror

CHECKOUT = Path(__file__).parent.parent
CONTAINERS_CONF = CHECKOUT / "lab/roles/lab_tools/files/containers.conf"
LOCK = CHECKOUT / "requirements/control.txt"
CACHE = image.CACHE
MINORS = (13, 12, 11)
PACKAGES = [
    "ca-certificates",
    "gcc",
    "libc6-dev",
    "libpq-dev",
    "openssh-client",
    "python3",
    "python3-dev",
    "python3-venv",
    "rsync",
]
PROBE = "import ensurepip, sys, venv; print(sys.version_info.minor)"
OTHER_RELEASE = {"bookworm": ("trixie", 13), "trixie": ("bookworm", 11)}


def other_minors(own: int) -> list[int]:
    """Return the minor versions to look for, the newest first."""
    return [minor for minor in MINORS if minor != own]


def find_python(minors: list[int], path: str) -> tuple[Path, int] | None:
    """Return a Python below `path` that really runs, with its minor version.

    What is found by name may be a version manager's stand-in for a version that isn't chosen.
    """
    for minor in minors:
        for folder in path.split(os.pathsep):
            python = Path(folder) / f"python3.{minor}"
            if not os.access(python, os.X_OK):
                continue
            probe = subprocess.run(
                [python, "-c", PROBE], check=False, capture_output=True, text=True
            )
            if probe.returncode == 0 and probe.stdout.strip() == str(minor):
                return python, minor
    return None


def venv_folder(minor: int, lock: bytes, where: str) -> Path:
    """Return where the environment of a Python and a lock file is kept."""
    digest = hashlib.sha256(lock).hexdigest()[:12]
    return CACHE / f"python-3.{minor}-{where}-{digest}"


def script(python: str, venv: Path, tests: list[str]) -> str:
    """Return the shell lines that make the environment, unless it's there, and run the tests."""
    return f"""set -e
if [ ! -e {venv}/complete ]; then
  {python} -m venv --clear {venv}
  {venv}/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
    --requirement {LOCK}
  touch {venv}/complete
fi
cd {CHECKOUT}
PATH={venv}/bin:$PATH exec {venv}/bin/python -B -m pytest -p no:cacheprovider {" ".join(tests)}
"""


def container_image(release: str) -> str:
    """Return podman's name of an image of `release` with Python; make it where it's missing."""
    native = subprocess.run(
        ["dpkg", "--print-architecture"], check=True, capture_output=True, text=True
    ).stdout.strip()
    recipe = image.Recipe(
        name="python",
        release=release,
        architecture=native,
        packages=PACKAGES,
    )
    tarball = Path(str(image.make(recipe, CACHE)["path"]))
    reference = f"localhost/wheelyard/python:{tarball.stem.removeprefix('python-')}"
    if subprocess.run(["podman", "image", "exists", reference], check=False).returncode != 0:
        subprocess.run(["podman", "import", "--quiet", str(tarball), reference], check=True)
    return reference


def main() -> int:
    """Run the tests that are named; return pytest's exit code."""
    tests = sys.argv[1:]
    os.environ["CONTAINERS_CONF"] = str(CONTAINERS_CONF)
    own = sys.version_info.minor
    found = find_python(other_minors(own), os.environ.get("PATH", ""))
    if found:
        python, minor = found
        venv = venv_folder(minor, LOCK.read_bytes(), "machine")
        argv = ["sh", "-c", script(str(python), venv, tests)]
    else:
        release, minor = OTHER_RELEASE[mirror.machine_codename()]
        venv = venv_folder(minor, LOCK.read_bytes(), release)
        argv = ["podman", "run", "--rm", "--network=host", f"--volume={CACHE}:{CACHE}"]
        argv += [f"--volume={CHECKOUT}:{CHECKOUT}:ro", container_image(release)]
        argv += ["sh", "-c", script("python3", venv, tests)]
    for old in CACHE.glob("python-3.*-*-*"):
        if old.is_dir() and old != venv:
            shutil.rmtree(old)
    sys.stdout.write(f"Python 3.{minor}\n")
    sys.stdout.flush()
    return subprocess.run(argv, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
