"""What lint can't see: a role's documentation says what the role does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
ROLES = sorted([*(ROOT / "roles").iterdir(), *(ROOT / "lab/roles").iterdir()])
role_param = pytest.mark.parametrize("role", ROLES, ids=[role.name for role in ROLES])


def load(path: Path) -> Any:
    """Return what a YAML file holds; an empty dict for one that isn't there."""
    return yaml.safe_load(path.read_text()) if path.exists() else {}


def options(role: Path) -> dict[str, dict[str, Any]]:
    """Return the options of all entry points of a role, by name."""
    specs = load(role / "meta" / "argument_specs.yml")["argument_specs"]
    return {
        name: option
        for entry in specs.values()
        for name, option in (entry.get("options") or {}).items()
    }


@role_param
def test_a_role_says_what_it_is(role: Path) -> None:
    specs = load(role / "meta" / "argument_specs.yml")["argument_specs"]
    assert specs
    for entry, spec in specs.items():
        assert spec["short_description"]
        assert (role / "tasks" / f"{entry}.yml").exists()


@role_param
def test_an_option_is_described_and_named_after_its_role(role: Path) -> None:
    for name, option in options(role).items():
        assert name.startswith(f"{role.name}_")
        assert option["description"]
        assert option["type"]


@role_param
def test_defaults_are_those_that_are_documented(role: Path) -> None:
    defaults = load(role / "defaults" / "main.yml") or {}
    documented = options(role)
    assert set(defaults) <= set(documented)
    for name, option in documented.items():
        if option.get("required"):
            assert name not in defaults
            assert "default" not in option
        elif "default" in option:
            assert defaults[name] == option["default"]
        else:
            # Without a value that could be documented: one made of other variables, or none at all.
            assert "{{" in str(defaults.get(name, "{{")), name


@role_param
def test_internal_variables_are_marked_as_such(role: Path) -> None:
    for path in (role / "vars").glob("*.yml"):
        for name in load(path) or {}:
            assert name.startswith(f"__{role.name}_"), f"{path}: {name}"


@role_param
def test_a_role_uses_no_variable_of_another(role: Path) -> None:
    others = "|".join(other.name for other in ROLES if other != role)
    foreign = re.compile(rf"\b__({others})_\w+")
    for path in role.rglob("*"):
        if path.suffix in {".yml", ".j2"}:
            assert not foreign.search(path.read_text()), path
