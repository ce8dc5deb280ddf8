"""Why a build failed, in one line: how systemd says it ended, or the log's most telling line."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from typing import Optional

from protocol.result import UnitResult

_LENGTH = 200
_BLOCK_START = re.compile(r"\[\d+ lines? of output\]$")
_BLOCK_END = "[end of output]"

# From the most to the least telling; of a kind, the first line that fits is the cause and the rest
# is what follows from it. A group, where there is one, is what is worth saying of the line.
# A line may be as long as the log, and hostile: where a pattern may begin in many places of it, it
# must not look for its end from each of them, or the time is the square of the length.
_FIRST = tuple(
    re.compile(pattern)
    for pattern in (
        r"^.*?(No space left on device)",
        r"^.*?(?:fatal error: )?(Killed signal terminated program \S+|Cannot allocate memory)",
        r"^(MemoryError)\b",
        r"^[^:\s]+:\d+(?::\d+)?: (fatal error: .+)",
        r"^.*\b(cannot find -l[^\s:]+)",
        r"meson\.build:\d+:\d+: (ERROR: .+)",
        r"^.*?(Could NOT find \w+.*)",
        r"^.*?((?:Package '[^']+', required by '[^']+', not found|No package '[^']+' found).*)",
        r"^(error: can't find Rust compiler.*|Cargo, the Rust package manager, is not installed.*)",
        r"^(error\[E\d+\]: .+)",
        # Pip's last try; what it says at the end is only that it found nothing.
        r"^WARNING: Retrying \(Retry\(total=0,[^']*after (connection broken by '.+'): /",
        r"^ERROR: (No matching distribution found for .+)",
        r"^ERROR: (.*requires a different Python: .+)",
        r"^[^:\s]+:\d+(?::\d+)?: (error: .+)",
    )
)
_EXCEPTION = re.compile(r"^((?:\w+\.)*\w*(?:Error|Exception|Exit|NotFound)): ?(.*)$")
_ERROR = re.compile(r"^((?:CMake )?[Ee]rror:? .+)")
# Lines that only say that something else failed.
_ECHO = re.compile(
    r"subprocess-exited-with-error|metadata-generation-failed|failed-wheel-build-for-install"
    r"|^error: [Cc]ommand |CalledProcessError|returned non-zero exit status"
)


def of(outcome: UnitResult, log: str, limit_s: float) -> str:
    """Return why a build that ended with `outcome` failed, in at most 200 characters."""
    if outcome.result == "timeout":
        return f"timeout: not finished after {limit_s:.0f} s"
    if outcome.result == "oom-kill":
        return "out of memory: the build needed more than the sandbox may have"
    if outcome.result in ("signal", "core-dump"):
        return _tidy(f"killed by {_signal(outcome.exit_status)}")
    return telling_line(log) or f"pip ended with status {outcome.exit_status} and said nothing"


def _signal(number: int) -> str:
    meanings = {
        signal.SIGXFSZ: "a file grew beyond the sandbox's limit",
        signal.SIGSYS: "it made a system call that the sandbox forbids",
    }
    try:
        which = signal.Signals(number)
    except ValueError:
        return f"signal {number}"
    return f"{which.name} ({meanings[which]})" if which in meanings else which.name


def telling_line(log: str) -> Optional[str]:
    """Return the line of pip's log that best says why the build failed, or None.

    Build tools say one thing in many ways; what is known of them is tried from the most to the
    least specific, then what pip itself says last.
    """
    lines = [line.strip() for line in log.splitlines()]
    for pattern in _FIRST:
        for line in lines:
            if found := pattern.search(line):
                return _tidy(found.group(1))
    said = [line for line in lines if line and not _ECHO.search(line)]
    for line in reversed(said):
        if _EXCEPTION.match(line):
            return _tidy(line)
    for line in said:
        if found := _ERROR.match(line):
            return _tidy(found.group(1))
    for block in _blocks(lines):
        return _tidy(block)
    for line in reversed(said):
        if line.startswith("ERROR: "):
            return _tidy(line[len("ERROR: ") :])
    return _tidy(said[-1]) if said else None


def _blocks(lines: list[str]) -> Iterator[str]:
    """Yield the first thing that a failed step said, for each step."""
    inside = False
    for line in lines:
        if _BLOCK_START.search(line):
            inside = True
        elif line == _BLOCK_END:
            inside = False
        elif inside and line:
            inside = False
            yield line


def _tidy(text: str) -> str:
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if len(plain) <= _LENGTH else plain[: _LENGTH - 1] + "…"
