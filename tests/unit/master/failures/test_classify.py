"""The reason of a failure is what its reader needs to know, in one line. The logs are real."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from master.failures import classify
from master.jobs.reasons import Code, Reason
from protocol.result import FETCH_CODES, MAX_LOG_BYTES, Result, UnitResult

LOGS = Path(__file__).parents[3] / "fixtures" / "pip_logs"
FAILED = UnitResult("exit-code", 1)

REAL = {
    "missing_header": "fatal error: cups/http.h: No such file or directory",
    "missing_header_of_build_dependency": "fatal error: ffi.h: No such file or directory",
    "meson_dependency": 'ERROR: Dependency "dbus-1" not found (tried pkg-config)',
    "one_line": "This backport is for Python 2.7 only.",
    "exception": "Exception: Can not find valid pkg-config name.",
    "python2_syntax": (
        "SyntaxError: Missing parentheses in call to 'print'. Did you mean print(...)?"
    ),
    "pg_config": "Error: pg_config executable not found.",
    "advice": "The 'sklearn' PyPI package is deprecated, use 'scikit-learn'",
}


def failed(reason: str | None = None, **how: Any) -> Result:
    return Result("bookworm-1-1", "failed", reason, None, None, None, **how, timeout_s=600)


def words(unit: UnitResult, log: str) -> str:
    """Return what is said of a build whose unit ended so, with this log."""
    found = classify.reason(failed(unit=unit), log)
    assert found is not None
    assert found.code is Code.BUILD_FAILED
    return found.words


def test_every_real_log_is_checked() -> None:
    assert {path.stem for path in LOGS.glob("*.log")} == set(REAL)


@pytest.mark.parametrize("name", REAL)
def test_a_real_log_gives_its_cause(name: str) -> None:
    log = (LOGS / f"{name}.log").read_text(encoding="utf-8")
    assert words(FAILED, log) == REAL[name]


@pytest.mark.parametrize(
    ("log", "says"),
    [
        (
            "x.c:1:1: error: unknown type name 'foo'\nx.c:2:1: error: another",
            "error: unknown type name 'foo'",
        ),
        (
            (
                "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by"
                " 'ProtocolError('Connection aborted.')': /simple/x/\n"
                "ERROR: No matching distribution found for x"
            ),
            "connection broken by 'ProtocolError('Connection aborted.')'",
        ),
        ("/usr/bin/ld: cannot find -llzo2: No such file", "cannot find -llzo2"),
        (
            "gcc: fatal error: Killed signal terminated program cc1plus",
            "Killed signal terminated program cc1plus",
        ),
        (
            "x.c:1: fatal error: a.h: No\nOSError: [Errno 28] No space left on device",
            "No space left on device",
        ),
        ("error: can't find Rust compiler", "error: can't find Rust compiler"),
        (
            "ERROR: Package 'x' requires a different Python: 3.11.2 not in '>=3.12'",
            "Package 'x' requires a different Python: 3.11.2 not in '>=3.12'",
        ),
        (
            "ERROR: No matching distribution found for setuptools-foo",
            "No matching distribution found for setuptools-foo",
        ),
        (
            "Traceback:\nModuleNotFoundError: No module named 'numpy'\nCalledProcessError: x",
            "ModuleNotFoundError: No module named 'numpy'",
        ),
        ("", "pip ended with status 1 and said nothing"),
        ("\x1b[31mboo\x1b[0m", "[31mboo [0m"),
    ],
)
def test_a_build_tool_s_word_is_found(log: str, says: str) -> None:
    assert words(FAILED, log) == says


@pytest.mark.parametrize(
    ("unit", "says"),
    [
        (UnitResult("timeout"), "timeout: not finished after 600 s"),
        (
            UnitResult("oom-kill", 9),
            "out of memory: the build needed more than the sandbox may have",
        ),
        (UnitResult("signal", 25), "killed by SIGXFSZ (a file grew beyond the sandbox's limit)"),
        (
            UnitResult("core-dump", 31),
            "killed by SIGSYS (it made a system call that the sandbox forbids)",
        ),
        (UnitResult("signal", 9), "killed by SIGKILL"),
        (UnitResult("signal", 99), "killed by signal 99"),
    ],
)
def test_what_systemd_says_comes_first(unit: UnitResult, says: str) -> None:
    assert words(unit, "ERROR: something") == says


@pytest.mark.parametrize(
    ("start", "again"),
    [
        ("WARNING: Retrying (Retry(total=0,", "after connection broken by '"),
        ("", "No package '"),
        ("", "Error."),
    ],
)
def test_a_hostile_line_as_long_as_a_log_is_read_to_its_end(start: str, again: str) -> None:
    """It takes seconds. Where the time is the square of the length, it takes hours on a Pi."""

    def give_up(*_: object) -> None:
        raise TimeoutError("a minute of the processor's time wasn't enough")

    log = start + again * (MAX_LOG_BYTES // len(again))
    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, 60)
    try:
        assert words(FAILED, log).startswith(log[:100])
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def test_a_reason_stays_one_short_line() -> None:
    found = words(FAILED, "error: " + "x" * 5000)
    assert len(found) == 200
    assert found.endswith("…")


@pytest.mark.parametrize("fetch", [None, *FETCH_CODES])
def test_what_the_pi_knows_without_a_log_are_its_own_words(fetch: str | None) -> None:
    code = Code.SDIST_UNAVAILABLE if fetch else Code.BUILD_FAILED
    found = classify.reason(failed("it says so", fetch=fetch), "ERROR: something")
    assert found == Reason(code, "it says so")


def test_a_wheel_is_no_failure_whatever_its_log_says() -> None:
    built = Result("bookworm-1-1", "built", None, None, None, None)
    assert classify.reason(built, "ERROR: something") is None
