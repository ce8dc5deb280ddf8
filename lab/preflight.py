"""Report all that keeps the virtual fleet from running on this machine, each with its cure.

    python3 -m lab.preflight

Runs before there is a Python environment: the standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab import mirror

CHECKOUT = Path(__file__).parent.parent
CACHE = Path("/var/cache/wheelyard")
GIB = 1 << 30
# Measured: images and tarballs 3 GiB, their making 2 more at its peak, seven provisioned hosts 4.
ROOM_FIRST_GIB = 10
ROOM_CACHED_GIB = 5
ROOM_AGAIN_GIB = 1
ROOM_CHECKOUT_GIB = 2
MEMORY_GIB = 3
MEMORY_AGAIN_GIB = 1
RELEASES = {"bookworm", "trixie"}
HOSTS = 7


@dataclass(frozen=True)
class Lack:
    """Something that is missing, and what cures it."""

    what: str
    cure: str


def check_root() -> Lack | None:
    """Check for root, whose systemd in containers, loop devices and binfmt are."""
    if os.geteuid() == 0:
        return None
    return Lack("this isn't root", "sudo make demo")


def check_debian() -> Lack | None:
    """Check for Debian 12 or 13, which have the tools' packages."""
    codename = mirror.machine_codename()
    if codename in RELEASES and shutil.which("apt-get"):
        return None
    return Lack(
        f"this is {codename or 'another system'}, not Debian 12 (bookworm) or 13 (trixie)",
        "run it on a Debian 12 or 13 machine; a virtual one will do",
    )


def check_python(version: tuple[int, ...] = sys.version_info[:2]) -> Lack | None:
    """Check for a Python on which the locked Ansible runs."""
    if (3, 11) <= version <= (3, 13):
        return None
    found = ".".join(map(str, version))
    return Lack(
        f"the control node's Python must be 3.11, 3.12 or 3.13, and {sys.executable} is {found}",
        "apt-get install python3, or make demo PYTHON=/path/to/python3.13",
    )


def check_mirror() -> Lack | None:
    """Check for the package mirror from which the images are made."""
    try:
        mirror.debian_mirror(mirror.machine_sources(), mirror.machine_codename())
    except LookupError as error:
        problem, _, cure = str(error).partition(": ")
        return Lack(problem, cure)
    return None


def fleet_runs() -> bool:
    """Return whether all hosts of the demo's fleet are up already."""
    if not shutil.which("podman"):
        return False
    argv = ["podman", "ps", "--quiet", "--filter=name=^wheelyard-demo-"]
    listed = subprocess.run(argv, check=False, capture_output=True, text=True).stdout
    return len(listed.splitlines()) >= HOSTS


def room(path: Path, gib: int) -> Lack | None:
    """Return the lack of `gib` GiB free on the file system that will hold `path`."""
    while not path.exists():
        path = path.parent
    free = shutil.disk_usage(path).free
    if free >= gib * GIB:
        return None
    return Lack(
        f"{path} has {free / GIB:.1f} GiB free, and {gib} are needed",
        f"remove something: see du -xh --max-depth=2 {path} | sort -h | tail",
    )


def check_room() -> Lack | None:
    """Check for room for images, containers and disks, which lie below /var."""
    gib = ROOM_CACHED_GIB if any(CACHE.glob("rootfs-*.tar")) else ROOM_FIRST_GIB
    # A fleet that runs has all that it needs, but for what is built again.
    return room(Path("/var/lib/containers"), ROOM_AGAIN_GIB if fleet_runs() else gib)


def check_room_of_checkout() -> Lack | None:
    """Check for room for the Python environment, which lies in the checkout."""
    if (CHECKOUT / ".venv").exists():
        return None
    return room(CHECKOUT, ROOM_CHECKOUT_GIB)


def check_memory(meminfo: Path = Path("/proc/meminfo")) -> Lack | None:
    """Check for memory: seven hosts, a database, and compilers under emulation."""
    fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    available = int(fields["MemAvailable"].split()[0]) * 1024
    gib = MEMORY_AGAIN_GIB if fleet_runs() else MEMORY_GIB
    if available >= gib * GIB:
        return None
    return Lack(
        f"{available / GIB:.1f} GiB of memory are available, and {gib} are needed",
        "stop what uses it: see ps -eo rss,args --sort=-rss | head",
    )


def kernel_has(filesystem: str) -> bool:
    """Return whether the kernel knows a file system; load it where it's a module."""
    known = Path("/proc/filesystems")
    if filesystem not in known.read_text().split() and shutil.which("modprobe"):
        subprocess.run(["modprobe", "--quiet", filesystem], check=False)
    return filesystem in known.read_text().split()


def check_binfmt() -> Lack | None:
    """Check whether the kernel can hand armhf programs to the emulator."""
    if Path("/proc/sys/fs/binfmt_misc/register").exists() or kernel_has("binfmt_misc"):
        return None
    return Lack(
        "the kernel has no binfmt_misc, by which armhf programs are emulated",
        "modprobe binfmt_misc, as root and outside of any container; else boot Debian's own kernel",
    )


def check_overlay() -> Lack | None:
    """Check for overlays, on which containers and builds lie."""
    if kernel_has("overlay"):
        return None
    return Lack(
        "the kernel has no overlay file system",
        "modprobe overlay, as root and outside of any container; else boot Debian's own kernel",
    )


def check_loop() -> Lack | None:
    """Check for loop devices: a Pi's work area is a file system in a file."""
    if Path("/dev/loop-control").exists():
        return None
    return Lack("there are no loop devices", "modprobe loop, as root and outside of any container")


def check_ipv6() -> Lack | None:
    """Check for IPv6, over which the farm's traffic runs."""
    disabled = Path("/proc/sys/net/ipv6/conf/all/disable_ipv6")
    if disabled.exists() and disabled.read_text().strip() == "0":
        return None
    return Lack(
        "IPv6 is switched off",
        "sysctl net.ipv6.conf.all.disable_ipv6=0; where the kernel was booted with"
        " ipv6.disable=1, boot it without",
    )


def check_checkout() -> Lack | None:
    """Check who may write into the checkout: Ansible ignores an ansible.cfg that anybody may."""
    if not CHECKOUT.stat().st_mode & 0o002:
        return None
    return Lack(f"anybody may write into {CHECKOUT}", f"chmod o-w {CHECKOUT}")


CHECKS: tuple[Callable[[], Lack | None], ...] = (
    check_root,
    check_debian,
    check_python,
    check_mirror,
    check_room,
    check_room_of_checkout,
    check_memory,
    check_binfmt,
    check_overlay,
    check_loop,
    check_ipv6,
    check_checkout,
)


def report(lacks: list[Lack]) -> str:
    """Return the lines that say what is missing and how to cure it."""
    if not lacks:
        return "Nothing is missing that can't be installed.\n"
    lines = [f"The virtual fleet can't run here yet: it lacks {len(lacks)} of the things it needs:"]
    for lack in lacks:
        lines += [f"  - {lack.what}", f"      cure: {lack.cure}"]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Print the report; return 0 where nothing is missing."""
    lacks = [lack for check in CHECKS if (lack := check()) is not None]
    sys.stdout.write(report(lacks))
    return 1 if lacks else 0


if __name__ == "__main__":
    sys.exit(main())
