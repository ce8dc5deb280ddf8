"""What a contributor's machine says before a commit is what `make lint` says."""

from __future__ import annotations

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_the_hooks_before_a_commit_are_the_gates_of_make_lint() -> None:
    recipe = (ROOT / "Makefile").read_text().split("\nlint: venv\n")[1].split("\n\n")[0]
    gates = [line.strip() for line in recipe.splitlines()]
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [hook["entry"].removeprefix(".venv/bin/") for hook in local["hooks"]] == gates
