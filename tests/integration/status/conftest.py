"""A farm that goes by the real clock: how long ago things were is what status tells."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.support.farm import Farm


@pytest.fixture
def farm(farm: Farm) -> Farm:
    farm.now = datetime.now(UTC)
    return farm
