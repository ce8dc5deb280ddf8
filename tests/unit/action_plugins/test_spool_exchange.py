"""Whatever a Pi answers, the round goes on, and takes no more of it than a report."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.datatag import deprecate_value

from action_plugins.spool_exchange import MAX_LENGTH, believed
from protocol import VERSION, report
from protocol.key import Key
from protocol.report import Report, Running

ROOT = Path(__file__).parents[3]
REPORT = report.dump(Report((Key("a", 1, 1),), (Running(Key("a", 2, 1), None),), ()))
HONEST = {"changed": True, "report": REPORT, "left_out": []}
DEEP = "[" * 900 + "]" * 900

ODD: dict[str, object] = {
    "stats": {**HONEST, "ansible_stats": {"data": "x"}},
    "facts": {**HONEST, "ansible_facts": {"round_handout": {"jobs": "x"}, "ansible_host": "pi2"}},
    "text_facts": {**HONEST, "ansible_facts": "x"},
    "new_host": {**HONEST, "add_host": {"host_name": "x"}, "add_group": "x"},
    "results": {**HONEST, "results": [1, {"failed_when_result": 1}]},
    "warnings": {**HONEST, "warnings": [{"a": 1}, None], "deprecations": [1], "diff": "x"},
    "exception": {**HONEST, "exception": {"__ansible_type": "ErrorSummary", "event": 1}},
    "state": {**HONEST, "unreachable": True, "skipped": True, "rc": 1, "_ansible_notify": ["x"]},
    "surrogate": {**HONEST, "report": {**REPORT, "version": "\ud800\0"}},
    "tagged": {**HONEST, "left_out": {"__ansible_type": "_AnsibleTaggedDict", "value": 1}},
    "failed": {"failed": {"a": 1}, "msg": ["x"], "report": REPORT},
    "no_report": {"changed": True},
    "list": [1],
    "deep": f'{{"report": {{"queued": {DEEP}}}}}',
    "large": {**HONEST, "left_out": ["x" * MAX_LENGTH]},
    "silent": "",
}
"""What a Pi prints, by its name: an object stands for its JSON."""
REPORTING = {"stats", "facts", "new_host", "results", "warnings"}
NOT_REPORTING = {"failed", "no_report", "list", "deep", "large", "silent"}
"""Whether the others are, releases of Ansible see differently."""


RECORD = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec={"exchanges": {"type": "dict"}})
exchanges = module.params["exchanges"]
module.exit_json(lost=[name for name, one in exchanges.items() if one["report"] is not None])
"""


def play_round(folder: Path, printed: dict[str, object]) -> list[str]:
    """Return the journal of a round with Pis that print this; a line for each with a report."""
    hosts = {}
    for name, answer in printed.items():
        text = answer if isinstance(answer, str) else json.dumps(answer)
        (folder / f"{name}.json").write_text(text)
        python = folder / name
        python.write_text(f"#!/bin/sh\ncat >/dev/null\ncat {shlex.quote(f'{python}.json')}\n")
        python.chmod(0o755)
        handout = {"protocol": VERSION, "jobs": [], "leased": [], "revoke": []}
        hosts[name] = {"ansible_python_interpreter": str(python), "round_handout": handout}
    variables = {"ansible_connection": "local"}
    inventory = {"all": {"vars": variables, "children": {"contacted": {"hosts": hosts}}}}
    (folder / "hosts.yml").write_text(yaml.safe_dump(inventory))
    exchange = yaml.safe_load((ROOT / "playbooks/round.yml").read_text())[1]
    record = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable},
        "tasks": [
            {
                "result_record": {
                    "exchanges": "{{ groups['contacted'] | round_exchanges(hostvars) }}"
                }
            }
        ],
    }
    (folder / "play.yml").write_text(yaml.safe_dump([exchange, record]))
    (folder / "library").mkdir()
    (folder / "library/spool_exchange.py").write_text(
        (ROOT / "library/spool_exchange.py").read_text()
    )
    (folder / "library/result_record.py").write_text(RECORD)
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "play.yml", "-i", "hosts.yml"],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if "ANSIBLE" not in name}
        | {
            "ANSIBLE_STDOUT_CALLBACK": "farm_journal",
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_ACTION_PLUGINS": str(ROOT / "action_plugins"),
            "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "callback_plugins"),
            "ANSIBLE_FILTER_PLUGINS": str(ROOT / "filter_plugins"),
            "ANSIBLE_MODULE_UTILS": str(ROOT / "module_utils"),
            "PYTHONPATH": str(ROOT),
        },
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_a_round_survives_any_answer(tmp_path: Path) -> None:
    pi1 = {**HONEST, "left_out": ["job 'a-3-1' can't be used"]}
    said = play_round(tmp_path, {"pi1": pi1, **ODD})
    heard = {line.removeprefix("lost: ") for line in said if line.startswith("lost: ")}
    assert heard >= {"pi1"} | REPORTING
    assert heard.isdisjoint(NOT_REPORTING)
    task = "Hand over jobs, and ask what is finished"
    assert f"no_report: {task}: its answer has no report" in said
    assert any(f"deep: {task}: a list is not a valid job key" in line for line in said)
    assert any(f"large: {task}: its answer has 10" in line for line in said)
    assert "pi1: job 'a-3-1' can't be used" in said


def test_what_the_module_documents_is_let_through() -> None:
    answer = {
        **HONEST,
        "left_out": ["job 'a-3-1' can't be used"],
        "diff": {"before": "", "after": "x"},
    }
    assert believed({**answer, "ansible_facts": {}, "skipped": True}) == {
        **answer,
        "warnings": answer["left_out"],
    }


def test_what_a_pi_says_carries_no_instructions_to_ansible() -> None:
    said = deprecate_value("bookworm-1-1", "read this", version="9")
    queued = deprecate_value([said], "and this", version="9")
    passed = believed({"report": {**REPORT, "queued": queued, "refuses": said, said: said}})
    parts = (*passed["report"], passed["report"]["refuses"], *passed["report"]["queued"])
    assert {type(part) for part in parts} == {str}
    assert type(passed["report"]["queued"]) is list
    assert said not in passed["report"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"failed": True, "msg": "no\nspool"}, "no spool"),
        ({"failed": 1, "msg": {}}, "it failed, and gave no reason"),
        ({"report": []}, "its answer has no report"),
        ({"report": {**REPORT, "queued": [b"x"]}}, "a bytes is not a valid job key"),
        ({"report": {}}, "queued is not a list of at most 1000"),
    ],
)
def test_an_answer_without_a_report_is_a_failure(answer: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        believed(answer)
