"""Write a README for each role, and docs/settings.md, from the argument specs: make docs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "inventory/production/group_vars/all.yml"
SETTINGS = ROOT / "docs/settings.md"
RELEASES = ROOT / "playbooks/vars/releases.yml"
# The operator's settings, in what a playbook gives to a role.
_SETTING = re.compile(r"\bfarm_\w+")
# Ansible's markup for code, values, options and return values.
_MARKUP = re.compile(r"\b(?:C|V|O|RV)\(([^)]*)\)")

Options = dict[str, dict[str, Any]]


def pages() -> dict[Path, str]:
    """Return the text of each page that is generated, by its path."""
    roles = {path.name: path for path in ROOT.glob("roles/*")}
    roles |= {path.name: path for path in ROOT.glob("lab/roles/*")}
    specs = {name: _specs(path) for name, path in sorted(roles.items())}
    found = {roles[name] / "README.md": _role(name, spec) for name, spec in specs.items()}
    return found | {SETTINGS: _settings(specs)}


def _specs(role: Path) -> dict[str, Any]:
    document = yaml.safe_load((role / "meta/argument_specs.yml").read_text())
    specs: dict[str, Any] = document["argument_specs"]
    return specs


def _role(name: str, entries: dict[str, Any]) -> str:
    lines = ["<!-- Written by `make docs` from meta/argument_specs.yml. -->", f"# {name}", ""]
    for entry, spec in entries.items():
        if entry != "main":
            lines += [f"## Tasks from `{entry}`", ""]
        lines += [f"{_words(spec['short_description'])}.", ""]
        if spec.get("description"):
            lines += [*(f"- {_words(text)}" for text in _list(spec["description"])), ""]
        lines += [*_table(spec.get("options") or {}), ""]
    return "\n".join(lines)


def _settings(specs: dict[str, dict[str, Any]]) -> str:
    plays = list(_plays(ROOT / "site.yml"))
    plays += [task for role in _roles(plays) for task in _tasks(role)]
    main = {name: entries["main"].get("options") or {} for name, entries in specs.items()}
    known = {option: role for role, options in main.items() for option in options}
    # A play hands over the facts of releases, which have a setting in them.
    facts = yaml.safe_load(RELEASES.read_text())
    of_release = re.compile(rf"\b(?:{'|'.join(facts)})\b")
    given = [
        (key, of_release.sub(facts["releases"], str(value)))
        for key, value in _items(plays)
        if key in known
    ]
    used = set(_roles(plays))
    lines = [
        "<!-- Written by `make docs` from the roles' argument specs and the example inventory. -->",
        "# Settings",
        "",
        "A farm's settings stand in its inventory, in `group_vars/all.yml`. This is the example's:",
        "",
        "```yaml",
        EXAMPLE.read_text().rstrip(),
        "```",
        "",
        "## Where each goes",
        "",
        "A playbook hands each setting to the roles that need it. No role reads another's.",
        "",
        "| setting | without it | handed over as |",
        "|---|---|---|",
        *_handed_over(given, known),
        "",
        "## What else a role takes",
        "",
        "Each of these has a default. To change it, write it into the inventory's",
        "`group_vars/all.yml`, into `group_vars/GROUP.yml`, or beside a host's address.",
        "",
    ]
    for role in sorted(used):
        rest = {n: o for n, o in main[role].items() if n not in dict(given)}
        if rest:
            lines += [f"### {role}", "", *_table(rest), ""]
    return "\n".join(lines)


def _plays(playbook: Path) -> Iterator[dict[str, Any]]:
    """Yield the plays of a playbook and of those that it imports."""
    for play in yaml.safe_load(playbook.read_text()):
        if imported := play.get("ansible.builtin.import_playbook"):
            yield from _plays(playbook.parent / imported)
        else:
            yield play


def _roles(nodes: Any) -> Iterator[str]:
    """Yield the role of each play that has one, and of each task that imports one."""
    for key, value in _items(nodes):
        if key == "role":
            yield value
        elif key == "ansible.builtin.import_role":
            yield value["name"]


def _tasks(role: str) -> list[dict[str, Any]]:
    path = ROOT / "roles" / role / "tasks/main.yml"
    tasks: list[dict[str, Any]] = yaml.safe_load(path.read_text())
    return tasks


def _items(node: Any) -> Iterator[tuple[str, Any]]:
    """Yield each key with its value, wherever they stand."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield key, value
            yield from _items(value)
    elif isinstance(node, list):
        for value in node:
            yield from _items(value)


def _handed_over(given: Iterable[tuple[str, str]], known: dict[str, str]) -> Iterator[str]:
    uses: dict[str, dict[str, None]] = {}
    defaults: dict[str, str] = {}
    for option, value in given:
        # A check isn't a use.
        if known[option] == "validate":
            continue
        for setting in _SETTING.findall(value):
            uses.setdefault(setting, {})[f"`{option}`"] = None
            if default := re.search(rf"\b{setting}[\]']*(?: \| |, )default[(=](.*?)[,)]", value):
                defaults[setting] = f"`{default[1].strip()}`"
    for setting, options in sorted(uses.items()):
        yield f"| `{setting}` | {defaults.get(setting, 'required')} | {', '.join(options)} |"


def _table(options: Options) -> list[str]:
    if not options:
        return ["It takes no arguments."]
    rows = [
        f"| `{name}` | {_type(option)} | {_default(option)} | {_meaning(option)} |"
        for name, option in _flat(options)
    ]
    return ["| argument | type | default | meaning |", "|---|---|---|---|", *rows]


def _flat(options: Options, above: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, option in options.items():
        yield above + name, option
        yield from _flat(option.get("options") or {}, f"{above}{name}.")


def _type(option: dict[str, Any]) -> str:
    return f"list of {option['elements']}" if "elements" in option else str(option["type"])


def _default(option: dict[str, Any]) -> str:
    if option.get("required"):
        return "required"
    default = option.get("default")
    if isinstance(default, list) and default:
        return ", ".join(f"`{item}`" for item in default)
    return "" if default is None else f"`{json.dumps(default)}`"


def _meaning(option: dict[str, Any]) -> str:
    words = " ".join(_words(text) for text in _list(option["description"]))
    if choices := option.get("choices"):
        words += f" One of {', '.join(f'`{choice}`' for choice in choices)}."
    return words


def _list(text: str | list[str]) -> list[str]:
    return [text] if isinstance(text, str) else text


def _words(text: str) -> str:
    return _MARKUP.sub(r"`\1`", " ".join(text.split())).replace("|", r"\|")


def main() -> None:
    for path, text in pages().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
