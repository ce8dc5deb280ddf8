"""Ansible action: run library/spool_exchange.py on a Pi, and pass on only what it may answer.

Ansible acts on what it finds in a module's result: on statistics, facts, warnings and more, in the
one process that talks to all hosts. A Pi runs strangers' code and could answer anything, so that
one of them would end the round for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from protocol import report
from protocol.fields import one_line

MAX_LENGTH = 1 << 20
"""Characters of all that it prints, its report among them: an honest answer has some 1000."""
MAX_LINES = 20
"""Of jobs left out: as many as the journal shows."""


class ActionModule(ActionBase):  # type: ignore[misc] # ansible is untyped
    _supports_check_mode = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        super().run(tmp, task_vars)
        try:
            answer = self._execute_module(task_vars=task_vars)
        except AnsibleConnectionFailure as error:
            # It has all that ssh printed, which may be the Pi's words and without end.
            raise AnsibleConnectionFailure(one_line(str(error))) from None
        try:
            return believed(answer)
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error

    def _low_level_execute_command(self, *args: Any, **options: Any) -> dict[str, Any]:
        """Return what a command on the Pi printed. Raises AnsibleActionFail if it's too much."""
        try:
            printed: dict[str, Any] = super()._low_level_execute_command(*args, **options)
        except MemoryError as error:
            # The unit of the rounds bounds each process.
            raise AnsibleActionFail("its answer doesn't fit into memory") from error
        size = len(printed["stdout"]) + len(printed["stderr"])
        # Here, before Ansible makes copies of it and warns of what it is.
        if size > MAX_LENGTH:
            raise AnsibleActionFail(f"its answer has {size} characters, and may have {MAX_LENGTH}")
        return printed


def believed(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return, of a Pi's answer, what the module documents, in plain types.

    Raises ValueError, with what the Pi says of it, when there is no report, or a broken one.
    """
    if answer.get("failed"):
        raise ValueError(one_line(answer.get("msg")) or "it failed, and gave no reason")
    if not isinstance(answer.get("report"), dict):
        raise ValueError("its answer has no report")
    # Written again, in JSON's own types: Ansible's may say what to do.
    said = report.dump(report.parse(answer["report"]))
    result = {"changed": answer.get("changed") is True, "report": said}
    left_out = answer.get("left_out")
    lines = left_out[:MAX_LINES] if isinstance(left_out, list) else []
    # Warned of here: what the Pi itself warns of isn't let through.
    result["left_out"] = result["warnings"] = [one_line(line) for line in lines]
    diff = answer.get("diff")
    sides = diff if isinstance(diff, dict) else {}
    if all(isinstance(sides.get(side), str) for side in ("before", "after")):
        result["diff"] = {side: str(sides[side]) for side in ("before", "after")}
    return result
