"""Record what stands in incoming/, as a process of its own that a test can kill at any moment.

python -m tests.support.recorder HOST DATABASE STATE_DIR NOW
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from master.database import connection as db
from master.results import collect
from tests.support.farm import config_of, exchange, said


def main() -> None:
    host, database, state_dir, now = sys.argv[1:]
    config = config_of(host, database, Path(state_dir))
    exchanges = {
        builder.name: exchange(said(done=sorted(folder.name for folder in builder.iterdir())))
        for builder in sorted(config.incoming.iterdir())
    }
    print("started", flush=True)  # noqa: T201 - the test waits for it
    with db.session(config, "queue") as conn:
        collect.gather(conn, config, exchanges, datetime.fromisoformat(now))


if __name__ == "__main__":
    main()
