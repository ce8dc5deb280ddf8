"""A real nginx on loopback, with the configuration that the role web writes."""

from __future__ import annotations

import datetime as dt
import http.client
import ipaddress
import os
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jinja2 import Environment, StrictUndefined

ROLE = Path(__file__).parents[2] / "roles/web"
TEMPLATE = ROLE / "templates/etc/nginx/nginx.conf.j2"
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    """By lower-case name; repeated ones joined with a comma."""
    body: bytes


class SiteServer:
    """Serves a folder over TLS, and redirects to it from plain HTTP."""

    def __init__(self, folder: Path, site: Path) -> None:
        self.folder = folder
        self.site = site
        self.port, self.plain_port = free_port(), free_port()
        self.ca = folder / "ca.crt"
        self.access_log = folder / "access.log"
        make_certificate(self.ca, folder / "server.key")
        config = folder / "nginx.conf"
        config.write_text(self._config())
        argv = ["nginx", "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(config)]
        self._process = subprocess.Popen([*argv, "-g", "daemon off;"])
        self._wait()

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    def get(self, path: str, *, method: str = "GET", plain: bool = False, **headers: str) -> Answer:
        """Send one request; a header's name is written with _ for -."""
        if plain:
            connection = http.client.HTTPConnection(HOST, self.plain_port, timeout=10)
        else:
            context = ssl.create_default_context(cafile=str(self.ca))
            connection = http.client.HTTPSConnection(HOST, self.port, timeout=10, context=context)
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=names)
            response = connection.getresponse()
            found: dict[str, str] = {}
            for name, value in response.getheaders():
                key = name.lower()
                found[key] = f"{found[key]}, {value}" if key in found else value
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)

    def _config(self) -> str:
        environment = Environment(undefined=StrictUndefined, trim_blocks=True)
        text = environment.from_string(TEMPLATE.read_text()).render(
            web_certificate=self.ca,
            web_certificate_key=self.folder / "server.key",
            web_site_url=self.url,
            web_pages_max_age_s=600,
        )
        # The same, but on ports and in folders of the test's own.
        for ours, theirs in {
            "user www-data;": "user root;" if os.geteuid() == 0 else "",
            "pid /run/nginx.pid;": f"pid {self.folder}/nginx.pid;",
            "/etc/nginx/names.js": str(ROLE / "files/etc/nginx/names.js"),
            "/srv/wheelyard/site": str(self.site),
            "/var/log/nginx": str(self.folder),
            "listen 80 ": f"listen {HOST}:{self.plain_port} ",
            "listen [::]:80 default_server;": "",
            "listen 443 ": f"listen {HOST}:{self.port} ",
            "listen [::]:443 ssl default_server;": "",
            "worker_rlimit_nofile 65536;": "",
            "worker_connections 8192;": "worker_connections 128;",
        }.items():
            assert ours in text, ours
            text = text.replace(ours, theirs)
        return text

    def _wait(self) -> None:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection((HOST, self.port), timeout=1).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "error.log").read_text()) from None
                time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def make_certificate(certificate: Path, key: Path) -> None:
    """Make a certificate for HOST that signs itself."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]),
            critical=False,
        )
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
