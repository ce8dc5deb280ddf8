"""The root of one build, made and removed by wheel-root@KEY as root.

    python3 -m builder.sandbox.overlay up KEY      an overlay over the rootfs, and a build's folders
    python3 -m builder.sandbox.overlay down KEY    all of it gone; with the last, replaced rootfs
    python3 -m builder.sandbox.overlay clean       what a kill or a reboot left, and replaced rootfs

All of it may be killed and run again at any time.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

from builder import config as settings
from builder.config import Config
from protocol import key as keys

_MOUNTS = Path("/proc/self/mounts")
_USAGE = "usage: python3 -m builder.sandbox.overlay up KEY | down KEY | clean"


def up(config: Config, key: str) -> None:
    """Make the root and the folders of build `key`, in place of any that a kill left.

    work/KEY/root   the overlay, thrown away with everything that the build does to it
    work/KEY/in     written by the builder, read by the build
    work/KEY/out    written by the build, read by the builder
    work/KEY/tmp    the build's /tmp: in the work area, so that it can't fill the Pi's disk
    work/KEY/log    opened for the build by systemd
    """
    folder = config.work_dir / keys.check(key)
    down(config, key)
    builder = pwd.getpwnam(config.builder_user)
    build = pwd.getpwnam(config.build_user)
    # Closed to everybody else on this Pi: a build's files are a stranger's.
    folder.mkdir(mode=0o750)
    os.chown(folder, 0, builder.pw_gid)
    for name, owner, mode in (
        ("in", builder, 0o755),
        ("out", build, 0o755),
        ("tmp", build, 0o700),
    ):
        (folder / name).mkdir()
        (folder / name).chmod(mode)
        os.chown(folder / name, owner.pw_uid, owner.pw_gid)
    (folder / "log").touch(mode=0o640)
    os.chown(folder / "log", 0, builder.pw_gid)
    for name in ("root", "upper", "overlay"):
        (folder / name).mkdir(mode=0o755)
    options = f"lowerdir={config.rootfs},upperdir={folder}/upper,workdir={folder}/overlay"
    _run("mount", "-t", "overlay", f"wheel-root@{key}", "-o", options, str(folder / "root"))


def down(config: Config, key: str) -> None:
    """Remove the root and the folders of build `key`, if they are there."""
    folder = config.work_dir / keys.check(key)
    if _mounted(folder / "root"):
        _run("umount", "--lazy", str(folder / "root"))
    if folder.exists():
        # rm copes with what a hostile build can leave, such as folders thousands deep; it neither
        # follows links nor leaves the work area.
        _run("rm", "-rf", "--one-file-system", str(folder))


def clean(config: Config) -> None:
    """Remove folders of builds whose unit isn't active, and replaced rootfs that nothing uses."""
    for key in _keys(config):
        if not _active(key):
            down(config, key)
    remove_replaced(config)


def remove_replaced(config: Config) -> None:
    """Remove replaced rootfs, unless there is a build that may stand on one of them.

    The end of the last such build does it too: a Pi that always has something to build restarts
    its service in the middle of a build, and each change of a rootfs would leave another one.
    """
    # Listed before the builds are looked at: one that begins later stands on the present rootfs.
    replaced = sorted(config.rootfs_dir.glob("*.old"))
    if replaced and not any(_active(key) for key in _keys(config)):
        for old in replaced:
            # The service may start while a build ends: rm -f doesn't mind what is gone.
            _run("rm", "-rf", "--one-file-system", str(old))


def _keys(config: Config) -> list[str]:
    """Return the keys of builds that have a folder."""
    names = sorted(folder.name for folder in config.work_dir.iterdir())
    return [name for name in names if name != "lost+found"]


def _active(key: str) -> bool:
    """Return whether the root of build `key` is there, or its unit is making or removing it."""
    unit = f"wheel-root@{keys.check(key)}.service"
    answer = subprocess.run(
        ["systemctl", "is-active", unit], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() not in ("inactive", "failed")


def _mounted(path: Path) -> bool:
    # Not ismount(): it can't tell an overlay whose lower tree is gone from a folder.
    places = (line.split(" ")[1] for line in _MOUNTS.read_text(encoding="utf-8").splitlines())
    return str(path) in places


def _run(*command: str) -> None:
    program = shutil.which(command[0])
    if program is None:
        raise SystemExit(f"{command[0]} isn't installed")
    subprocess.run([program, *command[1:]], check=True)


def main(arguments: list[str]) -> None:
    """Do what `arguments` say; systemd shows what goes wrong in the unit's journal."""
    config = settings.load()
    if arguments == ["clean"]:
        clean(config)
    elif len(arguments) == 2 and arguments[0] == "up":
        up(config, arguments[1])
    elif len(arguments) == 2 and arguments[0] == "down":
        down(config, arguments[1])
        remove_replaced(config)
    else:
        raise SystemExit(_USAGE)


if __name__ == "__main__":
    main(sys.argv[1:])
