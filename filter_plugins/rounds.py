"""What a round brings back, as the master's module result_record takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any


def round_exchanges(
    builders: Iterable[str], variables: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return the report of each builder, None for one that didn't answer or failed to.

    Beside it stands what the master itself knows: the keys of the results that were fetched whole
    as `collected`, and those of the jobs that it was given as `handed`.
    """
    return {name: _exchange(variables[name]) for name in builders}


def round_finished(
    builders: Iterable[str], variables: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Return those of the builders that say they have results."""
    reports = ((name, _report(variables[name])) for name in builders)
    return [name for name, report in reports if report and report["done"]]


def _report(variables: Mapping[str, Any]) -> Any:
    # The action spool_exchange lets through only what is as agreed.
    return (variables.get("round_exchange") or {}).get("report")


def _exchange(variables: Mapping[str, Any]) -> dict[str, Any]:
    fetched = (variables.get("round_collect") or {}).get("results") or ()
    return {
        "report": _report(variables),
        "collected": [
            result["item"]
            for result in fetched
            if not (result.get("failed") or result.get("unreachable") or result.get("skipped"))
        ],
        "handed": [job["key"] for job in variables["round_handout"]["jobs"]],
    }


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by the names that playbooks use."""
        return {"round_finished": round_finished, "round_exchanges": round_exchanges}
