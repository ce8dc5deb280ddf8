"""Verifies a wheel of 200 MB and writes it anew, as the master does; prints its speed and memory.

python -m tests.bench.repack_cost

Half of its content is random, and half is Python's own source. What could bound the speed is
measured alone, too, with the same content.
"""

from __future__ import annotations

import hashlib
import random
import re
import subprocess
import sys
import sysconfig
import tempfile
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from master.results import verify
from master.results.repack import repack
from tests.support.wheels import Forge, expected

MB = 1_000_000
FILES = 20
FILE_BYTES = 10 * MB


def content() -> dict[str, bytes]:
    """Return files of one size, random and compressible ones in turn."""
    library = Path(sysconfig.get_path("stdlib"))
    source = b"".join(path.read_bytes() for path in sorted(library.glob("*.py")))
    text = (source * (FILE_BYTES // len(source) + 1))[:FILE_BYTES]
    chance = random.Random(1)
    return {
        f"bench/{number}.txt": text if number % 2 else chance.randbytes(FILE_BYTES)
        for number in range(FILES)
    }


def measure(folder: Path, filename: str, size_bytes: int, sha256: str) -> str:
    """Verify and write the wheel in this process, which does nothing else."""
    sent = replace(expected(b"", filename), size_bytes=size_bytes, sha256=sha256, max_bytes=1 << 30)
    before = peak_mib()
    start, start_cpu = time.monotonic(), time.process_time()
    with verify.opened(folder / "sent.whl", sent) as wheel:
        packed = repack(wheel, folder)
    took, cpu = time.monotonic() - start, time.process_time() - start_cpu
    total = FILES * FILE_BYTES / MB
    return (
        f"a wheel of {total:.0f} MB, packed to {packed.size_bytes / MB:.0f}, is written anew at "
        f"{total / took:.0f} MB/s, {total / cpu:.0f} MB a CPU second, with {peak_mib():.0f} MiB of "
        f"memory at most ({before:.0f} before)"
    )


def peak_mib() -> float:
    """Return the most memory that this process has had; getrusage has its parent's, too."""
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(line) / 1024


def alone(work: Callable[[bytes], object], files: dict[str, bytes]) -> str:
    """Return how many MB of content one part of the work does in a CPU second."""
    some = list(files.values())[:2]
    start = time.process_time()
    for data in some:
        work(data)
    return f"{sum(map(len, some)) / MB / (time.process_time() - start):.0f}"


def main() -> None:
    """Measure and print."""
    if sys.argv[1:]:
        folder, filename, size_bytes, sha256 = sys.argv[1:]
        sys.stdout.write(f"{measure(Path(folder), filename, int(size_bytes), sha256)}\n")
        return
    files = content()
    forge = Forge(files=files)
    with tempfile.TemporaryDirectory() as folder:
        data = forge.bytes()
        Path(folder, "sent.whl").write_bytes(data)
        facts = [folder, forge.filename, str(len(data)), hashlib.sha256(data).hexdigest()]
        del data
        subprocess.run([sys.executable, "-m", "tests.bench.repack_cost", *facts], check=True)
    sys.stdout.write(
        f"alone: deflate {alone(zlib.compress, files)}, SHA-256 {alone(hashlib.sha256, files)}, "
        f"CRC-32 {alone(zlib.crc32, files)} MB a CPU second\n"
    )


if __name__ == "__main__":
    main()
