"""Find the certificate authorities that this machine trusts beyond Debian's own.

Where a proxy re-signs outgoing TLS, the lab's hosts must trust what the machine trusts.
"""

from __future__ import annotations

import re
from pathlib import Path

BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
SHIPPED = Path("/usr/share/ca-certificates")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\s+(.*?)\s+-----END CERTIFICATE-----", re.DOTALL)


def certificates(pem: str) -> list[str]:
    """Return the bodies of the certificates in `pem`, as base64 in one line each (RFC 7468)."""
    return ["".join(body.split()) for body in _PEM.findall(pem)]


def to_pem(body: str) -> str:
    """Return a certificate's body as PEM, in lines of 64 characters."""
    lines = [body[i : i + 64] for i in range(0, len(body), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def added(bundle: Path = BUNDLE, shipped: Path = SHIPPED) -> list[str]:
    """Return, as PEM, what `bundle` trusts and the package ca-certificates doesn't ship."""
    if not bundle.is_file():
        return []
    known = {body for path in shipped.rglob("*.crt") for body in certificates(path.read_text())}
    return [to_pem(body) for body in certificates(bundle.read_text()) if body not in known]
