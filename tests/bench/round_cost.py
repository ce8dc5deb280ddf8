"""Runs rounds, and plays that do nothing, in turn; prints their CPU as a ratio and per Pi.

Runs as wheelyard-master in /opt/wheelyard/project on a master whose timer is stopped. Counts what
this host's own processes use, ssh among them, and not the database or the Pis.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROUNDS = 5
ANSIBLE = str(Path(sys.executable).with_name("ansible-playbook"))
ENVIRONMENT = {**os.environ, "ANSIBLE_CONFIG": "/etc/wheelyard/ansible.cfg"}


def cpu_s(playbook: str) -> float:
    """CPU seconds, user and system, of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([ANSIBLE, playbook], env=ENVIRONMENT, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def builders() -> int:
    """How many Pis the rounds talk to."""
    done = subprocess.run(
        [ANSIBLE.replace("ansible-playbook", "ansible-inventory"), "--list"],
        env=ENVIRONMENT,
        check=True,
        capture_output=True,
    )
    inventory = json.loads(done.stdout)
    groups = inventory["builders"].get("children", [])
    return len({host for group in groups for host in inventory[group].get("hosts", [])})


def main() -> None:
    """Measure and print."""
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as empty:
        empty.write("- name: Do nothing\n  hosts: master\n  gather_facts: false\n")
        empty.flush()
        rounds, nothing = [], []
        for _ in range(ROUNDS):
            nothing.append(cpu_s(empty.name))
            rounds.append(cpu_s("playbooks/round.yml"))
    a, b, pis = statistics.median(nothing), statistics.median(rounds), builders()
    sys.stdout.write(
        f"CPU of an idle round / of an empty play: {b / a:.1f} ({b:.2f} s / {a:.2f} s, medians of "
        f"{ROUNDS}); {(b - a) / pis:.2f} s for each of {pis} Pis\n"
    )


if __name__ == "__main__":
    main()
