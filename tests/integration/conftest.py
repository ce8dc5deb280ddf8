"""A migrated database for each test, on one PostgreSQL for all of them."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from master.config import Config
from master.database import connection as db
from master.database import migrate
from master.jobs import reasons
from tests.support.cluster import ROLES, Cluster
from tests.support.farm import Farm, make_config, upstream

# In memory a database is copied ten times as fast as on a disk. A container may have little of it.
MEMORY = Path("/dev/shm")
ROOM_BYTES = 2 << 30

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Yield a running PostgreSQL with the farm's roles, and a migrated database `template`."""
    has_room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    cluster = Cluster(MEMORY if has_room else None)
    try:
        cluster.execute(*(f"CREATE ROLE wheelyard_{role} LOGIN" for role in ROLES))
        cluster.execute("CREATE DATABASE template OWNER wheelyard_owner")
        config = make_config(cluster, "template", tmp_path_factory.mktemp("template"))
        conn = db.connect(config, "owner")
        try:
            migrate.migrate(conn, config, None)
            reasons.register(conn, check=False)
        finally:
            conn.close()
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture
def config(cluster: Cluster, tmp_path: Path) -> Iterator[Config]:
    """Yield the settings of a farm whose database is empty and whose state is in tmp_path/state."""
    name = f"farm{next(_numbers)}"
    cluster.execute(
        f"CREATE DATABASE {name} OWNER wheelyard_owner TEMPLATE template STRATEGY file_copy"
    )
    config = make_config(cluster, name, tmp_path / "state")
    for folder in (config.incoming, config.store, config.intents):
        folder.mkdir(parents=True)
    yield config
    cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def farm(cluster: Cluster, config: Config) -> Iterator[Farm]:
    """Yield a farm that builds for bookworm and trixie, and has nothing to do."""
    farm = Farm(cluster, config)
    yield farm
    farm.disconnect()


@pytest.fixture
def key(farm: Farm) -> str:
    """Of a job that pi1 holds: demo 1.0 for bookworm."""
    farm.sync(upstream("demo", "1.0"))
    (key,) = farm.keys("pi1", {"pi1": "bookworm", "pi2": "bookworm"})
    farm.rows("UPDATE projects SET dirty_since = NULL")
    farm.later(minutes=5)
    return key


@pytest.fixture
def nine(farm: Farm) -> Farm:
    """Return a farm with nine jobs for each target."""
    farm.sync(upstream("demo", *(f"1.{n}" for n in range(9))))
    return farm
