"""Builds one sdist in turn by plain `pip wheel` in the rootfs and by the builder; prints a ratio.

Runs as root on a Pi whose rounds are stopped. The plain build has no sandbox, no limits and no
checks: an overlay over the same rootfs, and chroot.
"""

from __future__ import annotations

import hashlib
import json
import pwd
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from builder import config as settings
from builder.spool.spool import Spool
from protocol import job as jobs
from protocol.job import Job, Sdist

ROUNDS = 7


def plain(rootfs: Path, work: Path, sdist: Path) -> float:
    """Seconds that pip takes in an overlay over the rootfs."""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        for name in ("root", "upper", "overlay"):
            Path(folder, name).mkdir()
        root = Path(folder, "root")
        options = f"lowerdir={rootfs},upperdir={folder}/upper,workdir={folder}/overlay"
        subprocess.run(["mount", "-t", "overlay", "bench", "-o", options, str(root)], check=True)
        try:
            shutil.copy(sdist, root / "tmp" / sdist.name)
            start = time.monotonic()
            subprocess.run(
                [
                    *["chroot", str(root), "env", "PYTHONPATH=/opt/wheelyard/pip", "HOME=/tmp"],
                    *["/usr/bin/python3", "-m", "pip", "wheel", "--no-deps", "--no-cache-dir"],
                    *["--disable-pip-version-check", "--wheel-dir", "/tmp", f"/tmp/{sdist.name}"],
                ],
                check=True,
                capture_output=True,
            )
            return time.monotonic() - start
        finally:
            subprocess.run(["umount", str(root)], check=True)


def ours(spool: Spool, job: Job) -> float:
    """Seconds from a job in the spool to its result in it."""
    start = time.monotonic()
    queue = ["import sys, json; from pathlib import Path"]
    queue += ["from protocol.job import parse; from builder.spool.spool import Spool"]
    queue += [f"Spool(Path({str(spool.root)!r})).add(parse(json.loads(sys.stdin.read())))"]
    as_builder(";".join(queue), job)
    while not (spool.done / f"{job.key}.json").exists():
        time.sleep(0.05)
    duration_s = time.monotonic() - start
    as_builder(
        "import sys, json; from builder.spool.spool import Spool; from pathlib import Path;"
        f"Spool(Path({str(spool.root)!r})).acknowledge(json.loads(sys.stdin.read())['key'])",
        job,
    )
    return duration_s


def as_builder(program: str, job: Job) -> None:
    """Run a line of Python as the spool's owner, with the job on its standard input."""
    subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(jobs.dump(job)).encode(),
        user=pwd.getpwnam("wheelyard-builder").pw_uid,
        group=pwd.getpwnam("wheelyard-builder").pw_gid,
        check=True,
    )


def main(url: str) -> None:
    """Measure and print."""
    config = settings.load()
    with urllib.request.urlopen(url) as answer:
        content = answer.read()
    sdist = Path(tempfile.mkdtemp(), url.rsplit("/", 1)[1])
    sdist.write_bytes(content)
    source = Sdist(sdist.name, url, hashlib.sha256(content).hexdigest(), len(content))
    spool = Spool(config.spool_dir)
    plains, own = [], []
    for number in range(ROUNDS):
        key = f"{config.release.name}-{900000000 + number}-1"
        plains.append(plain(config.rootfs, config.work_dir, sdist))
        own.append(ours(spool, Job(key, "bench", "1.0", config.release.name, source)))
    a, b = statistics.median(plains), statistics.median(own)
    sys.stdout.write(
        f"a build by the builder / a plain pip wheel: {b / a:.2f} "
        f"({b:.1f} s / {a:.1f} s, medians of {ROUNDS}, so it adds {b - a:.1f} s)\n"
    )


if __name__ == "__main__":
    main(sys.argv[1])
