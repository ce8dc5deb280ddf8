"""Ansible action: print what the farm is doing, and follow a run until it is published.

The master says what there is to tell (library/farm_info.py); this prints it while it happens,
which a module can't, and decides when to stop. It runs on the control node.
"""

from __future__ import annotations

import json
import time
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

DOCUMENTATION = r"""
module: farm_report
short_description: Print what the farm is doing
description:
  - Prints the text of M(farm_info), and returns all that it returns.
  - With O(follow), prints progress until the run is built and published, then its summary; with
    O(builders), until they hold no job.
  - Give it C(delegate_to) the master; it is where the state is read.
  - It prints first that Ctrl-C ends the following only. The farm goes on building.
extends_documentation_fragment:
  - master
  - master.run
attributes:
  check_mode:
    details: Reads only. Follows nothing in check mode.
  diff_mode:
    details: There is nothing that could differ.
options:
  view:
    description: What to print when not following.
  follow:
    description: >-
      Print progress until the run is published, or O(builders) hold no job. Needs one of O(since)
      and O(builders).
    type: bool
    default: false
  interval_s:
    description: Seconds between two readings of the farm's state.
    type: float
    default: 5
  patience_s:
    description:
      - For how many seconds a run may stand still, or O(builders) hold jobs, before it is given up.
      - It stands still when nobody is left to build its jobs, when all of them wait for sdists that
        couldn't be fetched, when it can't be published, when no round ends, and when the master
        doesn't answer.
    type: float
    default: 600
"""

EXAMPLES = r"""
- name: Follow the run
  farm_report:
    follow: true
    since: "{{ sync.began_at }}"
    targets:
      - bookworm
  delegate_to: master

- name: Wait until pi7 holds nothing
  farm_report:
    follow: true
    builders:
      - pi7
  delegate_to: master
"""

RETURN = r"""
run:
  description: How the run ended, as M(farm_info) returns it; null where none was followed.
  type: dict
  returned: always
"""

PASSED_ON = ("config_path", "since", "targets", "job_ids", "builders")
"""To farm_info, which validates them."""

REPEAT_AFTER_S = 60.0
"""Progress is printed again after this time even when nothing changed, to show that it lives."""

# Said before: on Ctrl-C Ansible ends its workers, in one of which this runs, with no last word.
FOLLOWING = (
    "Following; Ctrl-C ends this only, and the farm goes on building and publishing."
    " ansible-playbook playbooks/status.yml shows how far it has come."
)

WAITING = "Waiting until {} holds no job; Ctrl-C ends this only, and it stays paused."

display = Display()


class ActionModule(ActionBase):  # type: ignore[misc] # ansible is untyped
    _supports_check_mode = True
    _requires_connection = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        super().run(tmp, task_vars)
        variables = task_vars or {}
        spec = {
            **{name: {"type": "raw"} for name in PASSED_ON},
            "view": {"type": "str", "default": "status"},
            "follow": {"type": "bool", "default": False},
            "interval_s": {"type": "float", "default": 5},
            "patience_s": {"type": "float", "default": 600},
        }
        _, args = self.validate_argument_spec(
            argument_spec=spec, required_if=[("follow", True, ("since", "builders"), True)]
        )
        if args["follow"] and not self._task.check_mode:
            return self._follow(args, variables)
        info = self._read(args, args["view"], variables)
        if not info.get("failed"):
            show(info["lines"])
        return info

    def _read(self, args: dict[str, Any], view: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Return what farm_info on the master returns. Raises AnsibleConnectionFailure."""
        module_args = {name: args[name] for name in PASSED_ON if args[name] is not None}
        result: dict[str, Any] = self._execute_module(
            module_name="farm_info", module_args={**module_args, "view": view}, task_vars=variables
        )
        if result.get("unreachable"):
            raise AnsibleConnectionFailure(str(result.get("msg")))
        return result

    def _follow(self, args: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """Print progress until what is followed is done or given up, then a run's summary.

        Raises AnsibleActionFail when it was given up.
        """
        view = "progress" if args["since"] else "builders"
        patience = Patience(args["patience_s"])
        printed = Printed()
        gave_up = None
        show([FOLLOWING if args["since"] else WAITING.format(", ".join(args["builders"]))])
        while True:
            started = time.monotonic()
            info, problem = self._look(args, view, variables)
            if info is not None:
                if is_done(info):
                    break
                if printed.is_news(info, started):
                    show(info["lines"])
                problem = standstill(info)
            elif problem and printed.is_new_problem(problem):
                show([f"{problem}; still trying"])
            if patience.is_over(problem, started):
                gave_up = problem
                break
            time.sleep(max(0.0, args["interval_s"] - (time.monotonic() - started)))
        if info is not None and args["since"]:
            info = self._read(args, "summary", variables)
            show(["", *info.get("lines", [])])
        if gave_up:
            raise AnsibleActionFail(f"Given up after {patience.limit_s:.0f} s: {gave_up}")
        return info or {}

    def _look(
        self, args: dict[str, Any], view: str, variables: dict[str, Any]
    ) -> tuple[dict[str, Any] | None, str | None]:
        """Return the state, or why it can't be read: a master may be rebooted meanwhile."""
        try:
            info = self._read(args, view, variables)
        except AnsibleConnectionFailure as error:
            # The connection that failed is of no use any more.
            self._connection.reset()
            return None, f"the master doesn't answer ({' '.join(str(error).split())})"
        if info.get("failed"):
            return None, str(info.get("msg"))
        return info, None


def show(lines: list[str]) -> None:
    """Print them now."""
    for line in lines:
        display.display(line)


def is_done(info: dict[str, Any]) -> bool:
    """Return whether the run is done; where there is none, whether the builders hold no job."""
    if info["run"]:
        return bool(info["run"]["done"])
    return not any(builder["running"] or builder["queued"] for builder in info["builders"])


def standstill(info: dict[str, Any]) -> str | None:
    """Return why the run does not get on, None while it does (or may).

    Builders that hold jobs don't get on until they hold none: for that there is a time.
    """
    run = info["run"]
    if not run:
        names = ",".join(builder["name"] for builder in info["builders"])
        return (
            f"{'; '.join(info['lines'])}. Type the same again to wait for it, or ansible-playbook"
            f" playbooks/resume.yml -l {names} to give it work again"
        )
    stuck_jobs = sum(run["left"][target]["jobs"] for target in run["stuck"])
    if run["outstanding"] and stuck_jobs == run["outstanding"]:
        return "\n".join(run["stuck"].values())
    trouble: dict[str, str] = info["trouble"]
    for what in ("round", "claims"):
        if what in trouble:
            return trouble[what]
    if not run["outstanding"] and info["publishing_for_s"] is None:
        return trouble.get("publish", "all is built, but not all is published")
    return None


class Patience:
    """For how long there has been a problem, of whatever kind, without a break."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._since: float | None = None

    def is_over(self, problem: str | None, now_s: float) -> bool:
        if problem is None:
            self._since = None
            return False
        if self._since is None:
            self._since = now_s
        return now_s - self._since >= self.limit_s


class Printed:
    """What was printed last, so that only news is."""

    def __init__(self) -> None:
        self._news: str | None = None
        self._problem: str | None = None
        self._at = 0.0

    def is_news(self, info: dict[str, Any], now_s: float) -> bool:
        """Return whether jobs, builders or troubles have changed, or a minute is over."""
        self._problem = None
        builders = [
            [b["name"], b["state"], b["queued"], b["running"] and {**b["running"], "for_s": 0}]
            for b in info["builders"]
        ]
        run = info["run"] or {"left": {}, "results": {}}
        jobs = {target: left["jobs"] for target, left in run["left"].items()}
        troubles = sorted(info["trouble"])
        news = json.dumps(
            [jobs, run["results"], info["waiting"], builders, troubles], sort_keys=True
        )
        if news == self._news and now_s - self._at < REPEAT_AFTER_S:
            return False
        self._news, self._at = news, now_s
        return True

    def is_new_problem(self, problem: str) -> bool:
        is_new = problem != self._problem
        self._problem = problem
        return is_new
