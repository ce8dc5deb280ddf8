"""Write the stand-in's pages, release a version more, or serve them.

python -m tests.upstream write FOLDER [--probe FILE]     the index of all projects, as files
python -m tests.upstream serve FOLDER --certificate PATH over TLS with PATH.crt and PATH.key
python -m tests.upstream release FOLDER PROJECT...       prints the next version of each, to name it
"""

from __future__ import annotations

import argparse
import pathlib
import sys

from tests.upstream import index


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.upstream", description=__doc__)
    parser.add_argument("command", choices=["write", "release", "serve"])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("projects", nargs="*")
    parser.add_argument("--probe", type=pathlib.Path, help="JSON: what tinyprobe shall try")
    parser.add_argument("--tiny", type=int, default=0, help="how many tiny pure projects to add")
    parser.add_argument("--certificate", type=pathlib.Path, help="PATH.crt and PATH.key")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    if arguments.command == "write":
        probe = arguments.probe.read_bytes() if arguments.probe else None
        index.write(arguments.folder, probe=probe, tiny=arguments.tiny)
    elif arguments.command == "release":
        for project in arguments.projects:
            version = index.release(arguments.folder, project)
            sys.stdout.write(f"{project}=={version}\n")
    else:
        index.serve(arguments.folder, arguments.port, arguments.certificate)


if __name__ == "__main__":
    main()
