"""Make one tarball of a Debian system, or find it in the cache: python -m lab.image < recipe.json

A recipe is a JSON object with the fields of `Recipe`. The result is a JSON object
`{"path", "sha256", "changed"}`. A tarball is named after a digest of all that it's made of, so
that a changed recipe makes a new one, and an old one is never taken for it.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lab import certificates, mirror

CACHE = Path("/var/cache/wheelyard")
# Waits between attempts: a mirror in the middle of an update needs a few minutes.
PAUSES_S = (15, 60, 120, 240)
KEEP_UNUSED_S = 30 * 24 * 3600
OPTIONS = (
    "--variant=minbase",
    "--components=main",
    # What only people read, and syncing each file to disk, would double the time under emulation.
    "--dpkgopt=force-unsafe-io",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
)


@dataclass(frozen=True)
class Recipe:
    """What a tarball is made of."""

    name: str
    release: str
    architecture: str
    packages: list[str]
    # A folder whose content is laid over the system, or nothing.
    files: str | None = None
    # Shell lines that run inside the finished system.
    commands: list[str] = field(default_factory=list)
    # With apt's lists kept, a first `apt install` needs no update.
    keep_apt_lists: bool = False


def tree_digest(folder: Path) -> str:
    """Return the sha256 of the paths, modes, link targets and contents below `folder`."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        executable = bool(path.lstat().st_mode & 0o100)
        digest.update(f"{path.relative_to(folder)}\0{executable}\0".encode())
        if path.is_symlink():
            digest.update(os.fsencode(path.readlink()))
        elif path.is_file():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def recipe_digest(recipe: Recipe, authorities: list[str]) -> str:
    """Return 12 hex digits that stand for all that the tarball is made of, but for the mirror."""
    parts = asdict(recipe) | {
        "packages": sorted(recipe.packages),
        "files": tree_digest(Path(recipe.files)) if recipe.files else None,
        "options": OPTIONS,
        "authorities": authorities,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def command(recipe: Recipe, target: Path, uri: str, files: Path) -> list[str]:
    """Return the mmdebstrap(1) command that makes `target` from the main suite of `uri` alone.

    A mirror in the middle of an update often has a stale -updates or -security beside it.
    """
    lines = ["update-ca-certificates", *recipe.commands]
    hooks = [f"sync-in {files} /", *(f'chroot "$1" sh -ec {shlex.quote(x)}' for x in lines)]
    return [
        "mmdebstrap",
        *OPTIONS,
        f"--architectures={recipe.architecture}",
        f"--include={','.join(recipe.packages)}",
        *(["--skip=cleanup/apt/lists"] if recipe.keep_apt_lists else []),
        *(f"--customize-hook={hook}" for hook in hooks),
        recipe.release,
        str(target),
        uri,
    ]


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold the lock file `path`; yield its descriptor, for children that must hold it too."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_files(recipe: Recipe, folder: Path, authorities: list[str]) -> None:
    """Write to `folder` what is laid over the system: the recipe's files and our authorities.

    The modes in a checkout depend on its owner's umask, those in an image don't.
    """
    if recipe.files:
        shutil.copytree(recipe.files, folder, symlinks=True)
    target = folder / "usr/local/share/ca-certificates"
    target.mkdir(parents=True, exist_ok=True)
    for number, pem in enumerate(authorities):
        (target / f"machine-{number}.crt").write_text(pem)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 0, 0, follow_symlinks=False)
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)


def run_with_retries(argv: list[str], log: Path, scratch: Path, lock: int) -> None:
    """Run mmdebstrap until it succeeds.

    Raises RuntimeError with the end of its log when the last attempt has failed too.
    """
    for pause_s in (*PAUSES_S, None):
        with log.open("a") as output:
            result = subprocess.run(
                argv,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"TMPDIR": str(scratch), "LC_ALL": "C.UTF-8"},
                # A child that outlives this process goes on writing, and so keeps the lock.
                pass_fds=(lock,),
            )
        if result.returncode == 0:
            return
        if pause_s is not None:
            time.sleep(pause_s)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-25:])
    raise RuntimeError(
        f"mmdebstrap failed {len(PAUSES_S) + 1} times, its log is {log}; if the mirror is being"
        f" updated, try again in a while. The end of the log:\n{tail}"
    )


def remove_unused(cache: Path, name: str, now_s: float) -> None:
    """Remove tarballs called `name` that no lab has asked for in 30 days."""
    for path in cache.glob(f"{name}-*.tar"):
        if now_s - path.stat().st_mtime > KEEP_UNUSED_S:
            Path(f"{path}.sha256").unlink(missing_ok=True)
            path.unlink()


def make(recipe: Recipe, cache: Path) -> dict[str, str | bool]:
    """Return path and sha256 of the recipe's tarball, and whether it had to be made."""
    authorities = certificates.added()
    tarball = cache / f"{recipe.name}-{recipe_digest(recipe, authorities)}.tar"
    checksum = Path(f"{tarball}.sha256")
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / f"{recipe.name}.lock") as lock:
        if tarball.is_file() and checksum.is_file():
            os.utime(tarball)
            sha256 = checksum.read_text().split()[0]
            return {"path": str(tarball), "sha256": sha256, "changed": False}
        scratch = cache / f"{recipe.name}.partial"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        # Apt's own user reads from here.
        scratch.chmod(0o755)
        write_files(recipe, scratch / "files", authorities)
        uri = mirror.debian_mirror(mirror.machine_sources(), mirror.machine_codename())
        log = cache / f"{recipe.name}.log"
        log.unlink(missing_ok=True)
        partial = scratch / "system.tar"
        run_with_retries(command(recipe, partial, uri, scratch / "files"), log, scratch, lock)
        sha256 = file_sha256(partial)
        checksum.write_text(f"{sha256}  {tarball.name}\n")
        # Where the tarball has its name, a power cut must leave both of them whole.
        for path in (checksum, partial):
            with path.open("rb") as file:
                os.fsync(file.fileno())
        partial.rename(tarball)
        shutil.rmtree(scratch)
        remove_unused(cache, recipe.name, time.time())
    return {"path": str(tarball), "sha256": sha256, "changed": True}


def main() -> int:
    """Read a recipe from standard input and print the result as JSON."""
    parser = argparse.ArgumentParser(description="Make a tarball of a Debian system.")
    parser.add_argument("--cache", type=Path, default=CACHE)
    arguments = parser.parse_args()
    recipe = Recipe(**json.load(sys.stdin))
    try:
        result = make(recipe, arguments.cache)
    except (LookupError, RuntimeError) as error:
        sys.stderr.write(f"{recipe.name}: {error}\n")
        return 1
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
