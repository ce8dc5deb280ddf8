"""A farm with real wheels, and a folder that stands for the web host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg2.extensions import connection

from master.config import Config
from master.database import connection as db
from tests.support.cluster import Cluster
from tests.support.site import SiteFarm


@pytest.fixture
def farm(cluster: Cluster, config: Config) -> SiteFarm:
    farm = SiteFarm(cluster, config)
    farm.target("bookworm", "3.11")
    farm.target("trixie", "3.13")
    return farm


@pytest.fixture
def conn(farm: SiteFarm) -> Iterator[connection]:
    conn = db.connect(farm.config, "site")
    yield conn
    conn.close()


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """Return the folder that the web host serves; what arrives is first written beside it."""
    for name in ("incoming", "site"):
        (tmp_path / "web" / name).mkdir(parents=True)
    return tmp_path / "web/site"
