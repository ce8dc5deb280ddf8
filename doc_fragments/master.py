"""Documentation that the modules of the master share."""

from __future__ import annotations


class ModuleDocFragment:
    """What Ansible loads."""

    DOCUMENTATION = r"""
notes:
  - Runs on the master, as its user and with the Python of its environment.
options:
  config_path:
    description: The master's settings.
    type: path
    default: /etc/wheelyard/master.json
attributes:
  check_mode:
    description: Whether it can report what it would do without doing it.
    support: full
  diff_mode:
    description: Whether it shows what changes.
    support: none
author:
  - Wheelyard
"""

    RUN = r"""
options:
  view:
    description: Which text RV(lines) holds.
    type: str
    choices: [status, progress, summary, builders, ignored]
    default: status
  since:
    description: When the run began, ISO 8601 with its time zone. Without it RV(run) isn't returned.
    type: str
  targets:
    description: Only these targets. All without it.
    type: list
    elements: str
  job_ids:
    description: Only these jobs belong to the run. All of O(targets) without it.
    type: list
    elements: int
  builders:
    description: Only these builders. All of O(targets) without it.
    type: list
    elements: str
"""
