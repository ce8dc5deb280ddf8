"""Print what a stage of the tests failed on: python -m tools.log_excerpt LOG

The logs of the fleet have thousands of lines, and whoever reads them may have their end alone.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# A task that failed; indented in the result of a task that ran ansible-playbook itself.
FAILED = re.compile(r"( *)(?:fatal|failed): \[")
TASK = re.compile(r" *(?:TASK|RUNNING HANDLER) \[")
OF_PYTEST = re.compile(r"(?:FAILED|ERROR) \S+::")
END_LINES = 10
LINE_CHARACTERS = 300
CHARACTERS = 1500


def failure(log: str) -> str:
    """Return the last failed task or the failed tests in `log`, else its end.

    It has 1,500 characters at most; what is left out is in the middle.
    """
    lines = [COLOUR.sub("", line).rstrip() for line in log.splitlines()]
    found = (
        _task(lines, "")
        or [line for line in lines if OF_PYTEST.match(line)]
        or [line for line in lines if line][-END_LINES:]
    )
    text = "\n".join(line[:LINE_CHARACTERS] for line in found).rstrip()
    if len(text) <= CHARACTERS:
        return text
    # The names are at the beginning, and what a program says last is why it ended.
    head = CHARACTERS // 3
    return f"{text[:head]}\n…\n{text[head - CHARACTERS + 3 :]}"


def _task(lines: list[str], indent: str | None) -> list[str]:
    """Return the name and result of the last task that failed, or nothing.

    `indent` is that of its line, None for any.
    """
    for start in reversed(range(len(lines))):
        match = FAILED.match(lines[start])
        if match is None or indent not in (None, match[1]):
            continue
        deeper = f"{match[1]} "
        end = start + 1
        while end < len(lines) and (not lines[end] or lines[end].startswith(deeper)):
            end += 1
        if "".join(lines[end : end + 1]).strip() == "...ignoring":
            continue
        named = next(([line] for line in reversed(lines[:start]) if TASK.match(line)), [])
        # The failure of the ansible-playbook that it ran says more than that it failed.
        inner = _task(lines[start + 1 : end], None)
        return [*named, lines[start], *(inner or lines[start + 1 : end])]
    return []


if __name__ == "__main__":
    sys.stdout.write(failure(Path(sys.argv[1]).read_text(errors="replace")) + "\n")
