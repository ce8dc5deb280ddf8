"""A farm whose rows are written by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from master.config import Config
from tests.support.cluster import Cluster
from tests.support.status import StatusFarm


@pytest.fixture
def farm(cluster: Cluster, config: Config) -> Iterator[StatusFarm]:
    farm = StatusFarm(cluster.connect(config.database.name), config)
    yield farm
    farm.conn.close()
