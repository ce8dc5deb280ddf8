"""Ansible inventory: the Pis that the farm rents from Mythic Beasts."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable

# A plugin is loaded by its path, and Ansible knows nothing of the checkout's packages.
sys.path.append(str(Path(__file__).parents[1]))

from control import fleet, pis
from control.provider import Provider, ProviderError, Settings

DOCUMENTATION = r"""
name: mythic_beasts
short_description: The Pis that the farm rents from Mythic Beasts
description:
  - Each Pi of the account whose name the farm makes, PREFIX-RELEASE-N, is a host of its release's
    group. Others are left out, if O(releases) doesn't have them.
  - C(ansible_host) is its IPv6 address, by which the farm's hosts reach it.
  - All hosts get C(farm_provider) and C(farm_fleet_prefix), with which playbooks/fleet.yml rents.
  - Where the provider can't be asked nothing is done on any host, as the master would forget the
    Pis that it isn't told of.
extends_documentation_fragment:
  - inventory_cache
options:
  plugin:
    description: Makes a file a source of this plugin.
    type: str
    required: true
    choices: [mythic_beasts]
  prefix:
    description: What the names of the farm's Pis begin with.
    type: str
    required: true
  releases:
    description: For Pis with names of another form, the release that each builds for.
    type: dict
    default: {}
  key_file:
    description: File with the API key, as ID:SECRET. A relative path begins at the source.
    type: str
    default: secrets/mythic_beasts
  via:
    description: How the control node's ssh reaches the Pis, by IPv6 or the provider's relay (IPv4).
    type: str
    choices: [ipv6, relay]
    default: ipv6
  api_url:
    description: Address of the API.
    type: str
    default: https://api.mythic-beasts.com/beta
  auth_url:
    description: Where the API key is exchanged for a token.
    type: str
    default: https://auth.mythic-beasts.com/login
  relay:
    description: Name of a Pi's relay, with the Pi's for {name}.
    type: str
    default: ssh.{name}.hostedpi.com
"""

EXAMPLES = r"""
plugin: mythic_beasts
prefix: farm
releases:
  old-faithful: stretch
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/wheelyard/inventory
"""


class InventoryModule(BaseInventoryPlugin, Cacheable):  # type: ignore[misc] # ansible is untyped
    NAME = "mythic_beasts"

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path)
        self._read_config_data(path)
        key_file = Path(path).parent / Path(self.get_option("key_file")).expanduser()
        given = {name: self.get_option(name) for name in ("via", "api_url", "auth_url", "relay")}
        settings = Settings(str(key_file), **given)
        key = self.get_cache_key(path)
        caches = self.get_option("cache")
        if caches and cache and key in self._cache:
            found = self._cache[key]
        else:
            found = self._ask(settings)
            if caches:
                self._cache[key] = found
        self._add(settings, found)

    def _ask(self, settings: Settings) -> dict[str, dict[str, Any]]:
        """Return the facts of each of the farm's Pis, by its name."""
        pattern, releases = fleet.pattern(self.get_option("prefix")), self.get_option("releases")
        found = {}
        try:
            with Provider(settings) as provider:
                for name in pis.servers(provider):
                    made = pattern.fullmatch(name)
                    release = releases.get(name) or (made and made["release"])
                    if not release:
                        continue
                    if pi := pis.read(provider, name):
                        found[name] = {**asdict(pi), "release": release}
                    else:
                        self.display.warning(f"{name} is still being provisioned, and left out")
        except ProviderError as error:
            raise AnsibleParserError(str(error)) from None
        return found

    def _add(self, settings: Settings, found: dict[str, dict[str, Any]]) -> None:
        self.inventory.set_variable("all", "farm_provider", asdict(settings))
        self.inventory.set_variable("all", "farm_fleet_prefix", self.get_option("prefix"))
        builders = self.inventory.add_group("builders")
        for name, pi in found.items():
            group = self.inventory.add_group(pi["release"])
            self.inventory.add_child(builders, group)
            self.inventory.add_host(name, group)
            self.inventory.set_variable(name, "ansible_host", pi["address"])
            self.inventory.set_variable(name, "ansible_user", "root")
            if settings.via == "relay":
                # What ssh takes before ansible_host and ansible_port, which the farm's hosts use.
                self.inventory.set_variable(name, "ansible_ssh_host", pi["relay"])
                self.inventory.set_variable(name, "ansible_ssh_port", pi["relay_port"])
