"""Ansible action: fetch with ansible.posix.synchronize, and report no more of it than a line.

What rsync prints is partly the words of the Pi at its other end, as many as that likes. Ansible
keeps all of a result in the one process that talks to all hosts.
"""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

DOCUMENTATION = r"""
module: wheel_collect
short_description: Fetch a result from a builder
description:
  - Takes what M(ansible.posix.synchronize) takes, and does what that does.
  - Of what rsync prints, only the beginning is returned.
author:
  - Wheelyard
attributes:
  check_mode:
    support: full
    description: Fetches nothing.
  diff_mode:
    support: none
    description: What is fetched is files of a builder's.
"""

EXAMPLES = r"""
- name: Collect a result
  wheel_collect:
    mode: pull
    src: /var/lib/wheelyard/spool/results/bookworm-12-1
    dest: /var/lib/wheelyard/master/incoming/pi1/
"""

RETURN = r"""
rc:
  description: How rsync ended.
  type: int
  returned: when it was started
"""

LONGEST = 500


class ActionModule(ActionBase):  # type: ignore[misc] # ansible is untyped
    _supports_check_mode = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        super().run(tmp, task_vars)
        synchronize = self._shared_loader_obj.action_loader.get(
            "ansible.posix.synchronize",
            task=self._task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        result = synchronize.run(task_vars=task_vars)
        said = {name: result[name] for name in ("changed", "failed", "rc") if name in result}
        return {**said, "msg": str(result.get("msg", ""))[:LONGEST]}
