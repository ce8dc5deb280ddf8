"""Documentation that the modules share that rent from Mythic Beasts."""

from __future__ import annotations


class ModuleDocFragment:
    """What Ansible loads."""

    DOCUMENTATION = r"""
notes:
  - Runs on the control node, with its Python environment and the checkout in E(PYTHONPATH).
  - The API key is read from its file and never is an argument, a return value or part of a message.
options:
  provider:
    description: How the provider is reached; what inventory plugin C(mythic_beasts) has as
      C(farm_provider).
    type: dict
    required: true
    suboptions:
      key_file:
        description: File with the API key, as ID:SECRET.
        type: path
        required: true
      via:
        description: How ssh reaches what is rented, by its own address or the provider's relay.
        type: str
        choices: [ipv6, relay]
        required: true
      api_url:
        description: Address of the API.
        type: str
        required: true
      auth_url:
        description: Where the API key is exchanged for a token.
        type: str
        required: true
      relay:
        description: Name of a Pi's relay, with the Pi's for {name}.
        type: str
        required: true
attributes:
  check_mode:
    description: Whether it can report what it would do without doing it.
    support: full
  diff_mode:
    description: Whether it shows what changes.
    support: full
author:
  - Wheelyard
"""

    SSH = r"""
options:
  known_hosts:
    description:
      - Where the host key is pinned. It is learned once, when the host is first met; the provider
        has no way to ask for it. What the file has of a host of before with this address goes.
    type: path
    default: ~/.ssh/known_hosts
  timeout_s:
    description: For how long each step is waited for, being provisioned and booting among them.
    type: int
    default: 900
"""
