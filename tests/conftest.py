"""What all tests share."""

from __future__ import annotations

import random
from pathlib import Path

import ansible.module_utils
import pytest

# Where Ansible finds it by ansible.cfg, and Python in a test doesn't.
ansible.module_utils.__path__.append(str(Path(__file__).parents[1] / "module_utils"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak-seed", type=int, default=1, help="what chance is made of")


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Return what decides when something is killed: the same for the same test and seed."""
    seed = request.config.getoption("soak_seed")
    # Pytest shows it where the test fails.
    print(f"to repeat it: pytest --soak-seed={seed} {request.node.nodeid}")  # noqa: T201
    return random.Random(f"{seed} {request.node.name}")
