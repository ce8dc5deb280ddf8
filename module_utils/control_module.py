"""What the modules that run on the control node share: the provider, and how they fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.own_code import OwnCode

CONTROL_CODE = OwnCode()

with CONTROL_CODE:
    from control.provider import Provider, ProviderError, Settings

PROVIDER = {
    "key_file": {"type": "path", "required": True},
    "via": {"type": "str", "choices": ["ipv6", "relay"], "required": True},
    "api_url": {"type": "str", "required": True},
    "auth_url": {"type": "str", "required": True},
    "relay": {"type": "str", "required": True},
}
SSH = {
    "known_hosts": {"type": "path", "default": "~/.ssh/known_hosts"},
    "timeout_s": {"type": "int", "default": 900},
}


class ControlModule(AnsibleModule):  # type: ignore[misc] # ansible is untyped
    """A module of the control node; it has check mode, and its options are these and provider."""

    def __init__(self, options: dict[str, Any], **rules: Any) -> None:
        provider = {"type": "dict", "required": True, "options": PROVIDER}
        super().__init__(
            argument_spec={**options, "provider": provider}, supports_check_mode=True, **rules
        )
        if CONTROL_CODE.missing is not None:
            self.fail_json(
                msg=f"this is not the Python of the checkout ({CONTROL_CODE.missing}): run make"
                " venv, and rent by playbooks/fleet.yml or database_vm.yml"
            )

    @contextmanager
    def account(self) -> Iterator[Provider]:
        """Yield the account at the provider; a ProviderError ends the module."""
        try:
            with Provider(Settings(**self.params["provider"])) as provider:
                yield provider
        except ProviderError as error:
            self.fail_json(msg=str(error))
