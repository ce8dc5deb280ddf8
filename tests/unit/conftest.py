"""What tests of several rooms need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import mythic_beasts


@pytest.fixture
def cloud() -> Iterator[mythic_beasts.Cloud]:
    """Run the provider's stand-in."""
    with mythic_beasts.serve(mythic_beasts.Cloud()) as cloud:
        yield cloud
