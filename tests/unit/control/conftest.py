"""A client that asks the provider's stand-in without a pause."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from control import provider
from control.provider import Provider, Settings
from tests.support import mythic_beasts


@pytest.fixture
def account(
    cloud: mythic_beasts.Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Provider]:
    monkeypatch.setattr(provider, "POLL_S", 0.01)
    with Provider(Settings(**cloud.options(tmp_path))) as account:
        yield account
