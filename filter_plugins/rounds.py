"""What a round brings back, as the master's module result_record takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any


def round_reports(
    builders: Iterable[str], variables: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any] | None]:
    """For each builder its report, None for one that didn't answer or failed to.

    A report's `collected` lists the keys whose results were fetched whole (the rest of its `done`
    is left to a later round), its `handed` those of the jobs that it was given.
    """
    return {name: _report(variables[name]) for name in builders}


def round_finished(
    builders: Iterable[str], variables: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Those of the builders that say they have results, as the hosts of a play."""
    reports = ((name, _report(variables[name])) for name in builders)
    # An empty list of hosts would stand for all of them.
    return [name for name, report in reports if report and report.get("done")] or ["!all"]


def _report(variables: Mapping[str, Any]) -> dict[str, Any] | None:
    exchange = variables.get("round_exchange") or {}
    report = exchange.get("report")
    if not isinstance(report, Mapping):
        return None
    fetched = (variables.get("round_collect") or {}).get("results") or ()
    collected = [
        result["item"]
        for result in fetched
        if not (result.get("failed") or result.get("unreachable") or result.get("skipped"))
    ]
    handout = variables.get("round_handout") or {}
    handed = [job["key"] for job in handout.get("jobs") or ()]
    return {**report, "collected": collected, "handed": handed}


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by the names that playbooks use."""
        return {"round_finished": round_finished, "round_reports": round_reports}
