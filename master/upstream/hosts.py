"""The hosts from which a farm's sdists and its builds' requirements come.

python -m master.upstream.hosts        prints their names, one a line, for the master's proxy
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

from master import config as master_config
from master.errors import FarmError
from master.upstream.pypi import Index, UnknownProjectError

# Most builds ask for it, so that an index on which they can be built has it.
_PROJECT = "setuptools"


def hosts(index: Index) -> Iterator[str]:
    """Yield the host of the index, and those of the files on it; raises FarmError."""
    yield _host(index.url)
    try:
        project = index.project(_PROJECT)
    except UnknownProjectError:
        return
    for version in project.versions:
        yield from (_host(file.url) for file in version.files)


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def main() -> int:
    """Print the hosts of the farm's index and of PyPI, which is pip's in a build."""
    found: set[str] = set()
    try:
        config = master_config.load()
        for url in {config.pypi_url, None}:
            with Index(url, config.site_url) as index:
                found.update(hosts(index))
    except FarmError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    # An address is of the farm's own network, and no proxy is needed for it.
    names = sorted(host for host in found if not _is_address(host))
    sys.stdout.write("".join(f"{name}\n" for name in names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
