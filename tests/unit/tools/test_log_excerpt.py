"""The end of a long log says what failed."""

from __future__ import annotations

from tools.log_excerpt import CHARACTERS, failure

IGNORED = """
TASK [Try] *****
fatal: [pi1]: FAILED! =>
    msg: of no interest
...ignoring
"""
RECAP = """
PLAY RECAP *****
pi1 : ok=0
make[1]: *** [Makefile:91: molecule] Error 2
"""


def test_names_the_last_task_that_failed_and_its_result() -> None:
    log = f"""
TASK [Wait] *****
\x1b[0;31mfatal: [pi1]: FAILED! =>\x1b[0m
    msg: |-
        not yet

        there
{IGNORED}{RECAP}"""
    assert failure(log).split("\n") == [
        "TASK [Wait] *****",
        "fatal: [pi1]: FAILED! =>",
        "    msg: |-",
        "        not yet",
        "",
        "        there",
    ]


def test_names_the_task_that_failed_in_a_run_of_that_task() -> None:
    log = f"""
TASK [Run ansible-playbook] *****
fatal: [localhost]: FAILED! =>
    rc: 2
    stdout: |-

        TASK [Build] *****
        ok: [pi1]

        TASK [Report] *****
        failed: [lab-master] (item=2) =>
            msg: no room

        PLAY RECAP *****
    stdout_lines: <omitted>
{RECAP}"""
    assert [line.strip() for line in failure(log).split("\n")] == [
        "TASK [Run ansible-playbook] *****",
        "fatal: [localhost]: FAILED! =>",
        "TASK [Report] *****",
        "failed: [lab-master] (item=2) =>",
        "msg: no room",
    ]


def test_names_the_tests_that_failed() -> None:
    log = "E assert 1\n=== short test summary ===\nFAILED tests/a.py::test_b - assert 1\n1 failed"
    assert failure(log) == "FAILED tests/a.py::test_b - assert 1"


def test_is_the_end_of_any_other_log() -> None:
    assert failure("".join(f"{number}\n\n" for number in range(30))).split()[0] == "20"


def test_keeps_both_ends_of_what_is_long() -> None:
    log = (
        "TASK [Build] ***\nfatal: [pi1]: FAILED! =>\n"
        + "    line of some length\n" * 900
        + "    the cause"
    )
    text = failure(log)
    assert len(text) <= CHARACTERS
    assert text.startswith("TASK [Build]")
    assert text.endswith("the cause")
