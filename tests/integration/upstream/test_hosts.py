"""What the index links to is what builds must reach."""

from __future__ import annotations

from master.upstream import hosts, pypi
from tests.support.index import File, Server


def test_the_hosts_of_an_index_are_its_own_and_those_of_its_files(server: Server) -> None:
    with pypi.Index(server.url, "x") as index:
        assert set(hosts.hosts(index)) == {"127.0.0.1"}
        server.catalogue.projects["setuptools"] = [
            File("setuptools-1.0.tar.gz", "https://files.example/setuptools-1.0.tar.gz"),
            File("setuptools-2.0.tar.gz", "https://more.example:8443/setuptools-2.0.tar.gz"),
        ]
        assert set(hosts.hosts(index)) == {"127.0.0.1", "files.example", "more.example"}
