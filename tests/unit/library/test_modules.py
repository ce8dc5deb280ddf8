"""What each module's documentation says of its arguments is what it takes."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils import basic
from ansible.plugins.loader import fragment_loader
from ansible.utils.plugin_docs import get_docstring

LIBRARY = Path(__file__).parents[3] / "library"
MODULES = sorted(path.stem for path in LIBRARY.glob("[a-z]*.py"))
FACTS = ("type", "required", "default", "choices", "elements")


class StoppedError(Exception):
    """AnsibleModule was made; what follows is of no interest here."""


def specification(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """All that the module gives to AnsibleModule."""
    given: dict[str, Any] = {}

    def capture(_self: object, **arguments: Any) -> None:
        given.update(arguments)
        raise StoppedError

    monkeypatch.setattr(basic.AnsibleModule, "__init__", capture)
    with pytest.raises(StoppedError):
        importlib.import_module(name).main()
    return given


def documentation(name: str) -> dict[str, Any]:
    """Its own, with the fragments that it names."""
    document: dict[str, Any] = get_docstring(
        str(LIBRARY / f"{name}.py"), fragment_loader, is_module=True
    )[0]
    return document


def facts(options: dict[str, Any], inner: str) -> dict[str, Any]:
    """Return what is to be the same of each option, with Ansible's own defaults."""
    return {
        name: {
            **{fact: option.get(fact) for fact in FACTS},
            "type": option.get("type", "str"),
            "required": option.get("required", False),
            "options": facts(option.get(inner) or {}, inner),
        }
        for name, option in options.items()
    }


@pytest.mark.parametrize("name", MODULES)
def test_the_documented_arguments_are_the_real_ones(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    documented = facts(documentation(name).get("options") or {}, "suboptions")
    assert documented == facts(specification(name, monkeypatch)["argument_spec"], "options")


@pytest.mark.parametrize("name", MODULES)
def test_a_module_has_check_mode_and_says_so(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert specification(name, monkeypatch)["supports_check_mode"] is True
    attributes = documentation(name)["attributes"]
    assert attributes["check_mode"]["support"] == "full"
    assert "diff_mode" in attributes


@pytest.mark.parametrize("name", MODULES)
def test_examples_and_return_values_can_be_read(name: str) -> None:
    module = importlib.import_module(name)
    tasks = yaml.safe_load(module.EXAMPLES)
    options = documentation(name).get("options") or {}
    for task in tasks:
        assert name in task
        assert set(task[name] or {}) <= set(options)
    for value in yaml.safe_load(module.RETURN).values():
        assert {"description", "type", "returned"} <= set(value)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_called_as_it_is_documented(name: str) -> None:
    document = documentation(name)
    assert document["module"] == name
    assert document["short_description"]
    # Thin: the work is in master/, builder/ and control/.
    text = (LIBRARY / f"{name}.py").read_text()
    code = text.split('RETURN = r"""')[1].split('"""', 1)[1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 30
