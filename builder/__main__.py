"""The builder's commands, as user wheelyard-builder:

    python3 -m builder serve             the service
    python3 -m builder preflight         whether this Pi may build, from a trial build made now
    python3 -m builder report            what the master would be told

They read /etc/wheelyard/builder.json.
"""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict

from builder import config as settings
from builder.sandbox.preflight import Preflight
from builder.sandbox.units import Units
from builder.service import serve
from builder.spool import reconcile
from builder.spool.spool import Spool
from protocol import report


def main(arguments: list[str]) -> int:
    """Run one command and return its exit status: 1 when this Pi refuses to build."""
    # The journal adds the time and the unit's name.
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        config = settings.load()
    except settings.ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if arguments == ["serve"]:
        serve(config)
    elif arguments == ["preflight"]:
        result = Preflight(config, Units()).result()
        sys.stdout.write(json.dumps(asdict(result), indent=1) + "\n")
        return 1 if result.refuses else 0
    elif arguments == ["report"]:
        snapshot = Spool(config.spool_dir).snapshot()
        document = report.dump(reconcile.report(config, snapshot, reconcile.service_state()))
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
        return 0
    sys.stderr.write(f"{__doc__}")
    return 2


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
