"""What the modules that run on the master share: settings, database, and how they fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from master.config import Config
    from master.database.connection import Connection, Role


class _MasterCode:
    """Where a module imports the master's code: what is missing is told when the module runs."""

    missing: ImportError | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: object, _traceback: object) -> bool:
        if not isinstance(error, ImportError):
            return False
        self.missing = error
        return True


MASTER_CODE = _MasterCode()

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
