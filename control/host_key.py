"""Learn the host keys of rented hosts, and pin them in a known_hosts file, see sshd(8)."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection
from pathlib import Path

import paramiko

from control.provider import ProviderError, until

_KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256")
CONNECT_S = 10.0


def name(host: str, port: int) -> str:
    """Return how a known_hosts file names a server."""
    return host if port == 22 else f"[{host}]:{port}"


def confirm(
    path: Path, ssh: tuple[str, int], names: Collection[str], timeout_s: float, *, new: bool
) -> None:
    """Wait until ssh answers at a host's port, and have its key pinned for `names`.

    What was pinned for a host that is new is of one that is gone. Raises ProviderError if the key
    is another than the pinned one, or nobody answers.
    """
    host, port = ssh
    late = (
        f"{host}: ssh doesn't answer at port {port} after {timeout_s:.0f} s. Check that this host "
        "reaches it (a control node without IPv6 needs via: relay), then run it again"
    )
    key = until(lambda: _learn(host, port), timeout_s, late)
    pinned = set() if new else _pinned(path, names)
    if pinned and key not in pinned:
        raise ProviderError(
            f"{host}: its host key is not the one in {path}. If it was made anew by someone "
            f"else, remove the old key (ssh-keygen -R '{min(names)}' -f {path}) and run it again; "
            "if not, someone may be posing as it"
        )
    if not pinned:
        forget(path, names)
        _write(path, [*_lines(path), f"{','.join(sorted(names))} {key}"])


def forget(path: Path, names: Collection[str]) -> None:
    """Take the keys of these names out of the file; whatever else is there stays as it is."""
    lines = _lines(path)
    left = [line for line in lines if not _is_of(line, names)]
    if left != lines:
        _write(path, left)


def _learn(host: str, port: int) -> str | None:
    """Return the key that a server has, as in known_hosts; None as long as it doesn't answer."""
    try:
        with socket.create_connection((host, port), CONNECT_S) as connection:
            transport = paramiko.Transport(connection)
            try:
                transport.get_security_options().key_types = _KINDS
                transport.start_client(timeout=CONNECT_S)
                key = transport.get_remote_server_key()
            finally:
                transport.close()
    except (OSError, EOFError, paramiko.SSHException):
        return None
    return f"{key.get_name()} {key.get_base64()}"


def _pinned(path: Path, names: Collection[str]) -> set[str]:
    return {" ".join(line.split()[1:3]) for line in _lines(path) if _is_of(line, names)}


def _is_of(line: str, names: Collection[str]) -> bool:
    hosts = (line.split() or [""])[0].split(",")
    return any(
        (paramiko.hostkeys.HostKeys.hash_host(one, host) if host.startswith("|1|") else one) == host
        for host in hosts
        for one in names
    )


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _write(path: Path, lines: list[str]) -> None:
    path = path.resolve()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.writelines(f"{line}\n" for line in lines)
    new.replace(path)
