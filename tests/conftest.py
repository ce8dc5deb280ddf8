"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import ansible.module_utils

# Where Ansible finds it by ansible.cfg, and Python in a test doesn't.
ansible.module_utils.__path__.append(str(Path(__file__).parents[1] / "module_utils"))
