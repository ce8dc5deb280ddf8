"""What the modules that run on the control node share: the provider, and how they fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from control.provider import Provider

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

    @contextmanager
    def account(self) -> Iterator[Provider]:
        """Yield the account at the provider; a ProviderError ends the module."""
        from control.provider import Provider, ProviderError, Settings  # noqa: PLC0415 -- late

        try:
            with Provider(Settings(**self.params["provider"])) as provider:
                yield provider
        except ProviderError as error:
            self.fail_json(msg=str(error))
