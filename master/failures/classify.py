"""Why a build failed: the Pi's own words, how systemd says it ended, or the log's best line."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

from master.jobs.reasons import Code, Reason
from master.text import one_line
from protocol.result import Result, UnitResult

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


def reason(result: Result, log: str) -> Reason | None:
    """Return why an attempt with this result and log failed; None if it didn't."""
    if result.unit is not None:
        return Reason(Code.BUILD_FAILED, _words(result.unit, log, result.timeout_s))
    if result.reason is not None:
        code = Code.SDIST_UNAVAILABLE if result.fetch else Code.BUILD_FAILED
        return Reason(code, result.reason)
    return None


def _words(unit: UnitResult, log: str, timeout_s: int) -> str:
    if unit.result == "timeout":
        return f"timeout: not finished after {timeout_s} s"
    if unit.result == "oom-kill":
        return "out of memory: the build needed more than the sandbox may have"
    if unit.result in {"signal", "core-dump"}:
        return f"killed by {_signal(unit.exit_status)}"
    return telling_line(log) or f"pip ended with status {unit.exit_status} and said nothing"


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


def telling_line(log: str) -> str | None:
    """Return the line of pip's log that best says why the build failed, in short, or None.

    Build tools say one thing in many ways; what is known of them is tried from the most to the
    least specific, then what pip itself says last.
    """
    lines = [line.strip() for line in log.splitlines()]
    for pattern in _FIRST:
        for line in lines:
            if found := pattern.search(line):
                return one_line(found.group(1), _LENGTH)
    said = [line for line in lines if line and not _ECHO.search(line)]
    for line in reversed(said):
        if _EXCEPTION.match(line):
            return one_line(line, _LENGTH)
    for line in said:
        if found := _ERROR.match(line):
            return one_line(found.group(1), _LENGTH)
    for block in _blocks(lines):
        return one_line(block, _LENGTH)
    for line in reversed(said):
        if line.startswith("ERROR: "):
            return one_line(line[len("ERROR: ") :], _LENGTH)
    return one_line(said[-1], _LENGTH) if said else None


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
