"""What each release is.

{{ {} | release_facts }}                            {'bookworm': {'suite': 'bookworm', …}, …}
{{ {'bookworm': {'mirror': '…'}} | release_facts }} the same, with the farm's own mirror
{{ ['builders', 'trixie'] | own_releases(releases) }}   ['trixie']
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.module_utils.common.yaml import yaml_load

FOLDER = Path(__file__).parent.parent / "releases"
_COMMON = "common"

Facts = dict[str, Any]


def release_facts(overrides: Mapping[str, Mapping[str, Any]]) -> dict[str, Facts]:
    """Return the facts of each release, by its name.

    They are those of releases/common.yml, over them those of its own file, and over both what
    `overrides`, the inventory's word, has for it. A release may stand in `overrides` alone.
    """
    files = {path.stem: _read(path) for path in sorted(FOLDER.glob("*.yml"))}
    common = files.pop(_COMMON)
    names = [*files, *(name for name in overrides if name not in files)]
    return {
        name: _facts(name, common, files.get(name, {}), overrides.get(name, {})) for name in names
    }


def own_releases(groups: Iterable[str], releases: Mapping[str, Facts]) -> list[str]:
    """Return those of a host's `groups` that are releases, in the order of `releases`."""
    return [name for name in releases if name in set(groups)]


@functools.cache
def _read(path: Path) -> Facts:
    facts = yaml_load(path.read_text())
    if not isinstance(facts, dict):
        raise AnsibleFilterError(f"{path} isn't a mapping of facts: compare it with another")
    return facts


def _facts(name: str, *layers: Mapping[str, Any]) -> Facts:
    facts: Facts = {"name": name}
    for layer in layers:
        facts |= layer
    added, removed = facts.pop("apt_packages_added"), facts.pop("apt_packages_removed")
    return facts | {"apt_packages": sorted(({*facts["apt_packages"]} - {*removed}) | {*added})}


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by the names that playbooks use."""
        return {"release_facts": release_facts, "own_releases": own_releases}
