#!/usr/bin/python
"""Ansible module: restart what still runs by older files."""

from __future__ import annotations

DOCUMENTATION = r"""
module: restart_stale
short_description: Restart what still runs by older files
description:
  - Restarts or reloads each service that was started, or last reloaded, before one of its files was
    written.
  - A service that doesn't run is left alone.
options:
  services:
    description: The services, one after the other, and what they read.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The systemd service, or another unit with its suffix.
        type: str
        required: true
      state:
        description: What makes it read its files.
        type: str
        choices: [reloaded, restarted]
        required: true
      files:
        description: The files that it reads when it does so, and folders of them.
        type: list
        elements: path
        required: true
attributes:
  check_mode:
    description: Reports which services would be restarted. A file may be missing then.
    support: full
  diff_mode:
    description: Names for each service the file that is newer.
    support: full
  idempotent:
    description: What was restarted isn't stale any more.
    support: full
author: Wheelyard
"""

EXAMPLES = r"""
- name: Reload nginx by its newest settings
  restart_stale:
    services:
      - name: nginx
        state: reloaded
        files: [/etc/nginx/nginx.conf]
"""

RETURN = r"""
stale:
  description: For each service that was stale, what was done to it, and a file that is newer.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.stale_services import COMMANDS, newer_file, systemctl


def main() -> None:
    service = {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": sorted(COMMANDS), "required": True},
        "files": {"type": "list", "elements": "path", "required": True},
    }
    services = {"type": "list", "elements": "dict", "required": True, "options": service}
    module = AnsibleModule(argument_spec={"services": services}, supports_check_mode=True)
    stale = []
    for asked in module.params["services"]:
        newer = newer_file(module, **asked)
        if newer:
            stale.append({"name": asked["name"], "state": asked["state"], "newer": newer})
            if not module.check_mode:
                systemctl(module, COMMANDS[asked["state"]], asked["name"])
    prepared = "".join(f"{item['name']} is {item['state']}: {item['newer']}\n" for item in stale)
    module.exit_json(changed=bool(stale), stale=stale, diff={"prepared": prepared})


if __name__ == "__main__":
    main()
