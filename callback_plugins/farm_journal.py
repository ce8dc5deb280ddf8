"""Ansible callback: what a round has to tell, one line each; nothing when nothing happened.

Rounds run some ten times a minute and write to the master's journal. Ansible's own output, headings
and recaps for every play, would bury the news there, and wear out a Pi's card.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: farm_journal
type: stdout
short_description: Print only what is news
description:
  - One line for each result recorded or refused, each lease lost, each warning and each failure.
"""


WARNINGS_SHOWN = 20


class CallbackModule(CallbackBase):  # type: ignore[misc] # ansible is untyped
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "farm_journal"

    def v2_runner_on_ok(self, result: Any) -> None:
        # By what was run, since a Pi's answer could hold anything under any name.
        if result.task.action == "result_record":
            for line in news(result.result):
                self._display.display(line)
        for line in warnings(result.result):
            self._display.display(f"{result.host.get_name()}: {line}")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:  # noqa: ARG002 - Ansible names it
        if "results" not in result.result:
            self._failed(result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._failed(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._display.display(f"{result.host.get_name()} doesn't answer: {cause(result.result)}")

    def _failed(self, result: Any) -> None:
        host, task = result.host.get_name(), result.task.get_name()
        self._display.display(f"{host}: {task}: {cause(result.result)}")


def news(result: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each thing that the result of a task says has happened."""
    for item in result.get("recorded") or ():
        reason = f": {item['reason']}" if item.get("reason") else ""
        yield one_line(f"{item['key']} {item['status']}{reason}")
    for what in ("refused", "lost"):
        for item in result.get(what) or ():
            yield f"{what}: {one_line(item)}"


def warnings(result: dict[str, Any]) -> list[str]:
    """Return a module's warnings, a line each; no more than a Pi may send in good faith."""
    return [one_line(warning) for warning in (result.get("warnings") or ())[:WARNINGS_SHOWN]]


def cause(result: dict[str, Any]) -> str:
    """Return why a task failed, in one line."""
    detail = result.get("msg") or result.get("module_stderr") or result.get("stderr")
    # What Ansible puts before each message says no more than that it is one.
    text = str(detail or "no reason given").removeprefix("Task failed: ")
    return one_line(text.removeprefix("Module failed: "))


def one_line(value: object) -> str:
    """Return `value` in one line, with no control characters: some of it is a builder's words."""
    if isinstance(value, dict):
        value = " ".join(f"{key}={inner}" for key, inner in value.items())
    text = "".join(c if c.isprintable() else " " for c in str(value))
    return " ".join(text.split())[:500]
