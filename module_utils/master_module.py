"""What the modules that run on the master share: settings, database, and how they fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.own_code import OwnCode

if TYPE_CHECKING:
    from master.config import Config
    from master.database.connection import Connection, Role


MASTER_CODE = OwnCode()

with MASTER_CODE:
    from master import config as master_config
    from master.database import connection as db
    from master.errors import FarmError


class MasterModule(AnsibleModule):  # type: ignore[misc] # ansible is untyped
    """A module of the master; it has check mode, and its options are these and config_path."""

    def __init__(self, options: dict[str, Any], **rules: Any) -> None:
        path = {"type": "path", "default": "/etc/wheelyard/master.json"}
        super().__init__(
            argument_spec={**options, "config_path": path}, supports_check_mode=True, **rules
        )
        self.now = datetime.now(UTC)
        if MASTER_CODE.missing is not None:
            self.fail_json(
                msg=f"this host is not a provisioned master ({MASTER_CODE.missing}):"
                " run ansible-playbook site.yml"
            )

    @contextmanager
    def session(
        self, role: Role, password: str | None = None
    ) -> Iterator[tuple[Connection, Config]]:
        """Yield the database as wheelyard_ROLE, and the settings; a FarmError ends the module."""
        try:
            config = master_config.load(self.params["config_path"])
            with db.session(config, role, password) as conn:
                yield conn, config
        except FarmError as error:
            self.fail_json(msg=str(error))
