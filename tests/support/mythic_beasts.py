"""A stand-in for Mythic Beasts' APIs, which a test can make slow, sold out or broken while it runs.

It answers with the documented codes: https://www.mythic-beasts.com/support/api/auth, …/raspberry-pi
and …/vps. ssh of all that it rents out is one port of this machine, where no more than a handshake
is done.

python -m tests.support.mythic_beasts FOLDER ADDRESS SWITCH    with one Pi, which a command switches
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import paramiko

KEY = ("key-id", "key-secret")
BASIC = base64.b64encode(":".join(KEY).encode()).decode()
VNC_PASSWORD = "vnc-password"
SECRETS = {KEY[1], BASIC, VNC_PASSWORD}
"""What no output may have, beside the tokens of the time."""
OFFERED = [
    {"model": 3, "memory": 1024, "cpu_speed": 1200, "nic_speed": 100},
    {"model": 4, "memory": 4096, "cpu_speed": 1500, "nic_speed": 1000},
    {"model": 4, "memory": 8192, "cpu_speed": 2000, "nic_speed": 1000},
]
IMAGES = {"rpi-bookworm-arm64": "64 bit", "rpi-bookworm-armhf": "32 bit"}
DISK_SIZES = {"ssd": [10240, 20480], "hdd": [102400]}
PRODUCTS = {"VPSX4": 1200, "VPSX16": 3600}
PRICING = {
    "disk": {"ssd": {"price": 30, "extent": 5}, "hdd": {"price": 20, "extent": 50}},
    "ipv4": 150,
    "products": PRODUCTS,
}

Answer = tuple[int, Any, dict[str, str]]


@dataclass
class Cloud:
    """What the provider has, and how it is today; may be changed while it runs."""

    pis: dict[str, dict[str, Any]] = field(default_factory=dict)
    vms: dict[str, dict[str, Any]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    """Names that other customers have."""
    sold_out: bool = False
    fails: bool = False
    """What is ordered now will never be provisioned."""
    steps: int = 0
    """How often it answers that a thing is being provisioned, and then how often that it boots."""
    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Told to answer so: code and reason, by METHOD /PATH, before anything else is looked at."""
    prices: bool = False
    """Whether the models of Pi have a price."""
    logins: int = 0
    tokens: set[str] = field(default_factory=set)
    """Those that are valid; without them the next call is refused."""
    orders: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    url: str = ""
    address: str = "2001:0db8:0000:0000:0000:0000:0001:{:04x}"
    """Of a Pi, by its number."""
    switch: Callable[[bool], object] = bool
    """Called when a Pi's power goes on or off."""
    ssh_port: int = 0
    host_key: paramiko.PKey = field(default_factory=paramiko.ECDSAKey.generate)

    def options(self, folder: Path) -> dict[str, str]:
        """Return the provider as modules take it, with its API key in a folder."""
        key_file = folder / "mythic_beasts"
        key_file.write_text(":".join(KEY) + "\n")
        return {
            "key_file": str(key_file),
            "via": "relay",
            "api_url": f"{self.url}/beta",
            "auth_url": f"{self.url}/login",
            "relay": "127.0.0.1",
        }

    def source(self, folder: Path) -> dict[str, str]:
        """Return a source of an inventory that is in a folder, and write its API key there."""
        (folder / "secrets").mkdir(exist_ok=True)
        options = self.options(folder / "secrets")
        del options["key_file"]
        return {"plugin": "mythic_beasts", "prefix": "farm", **options}

    def pi(self, name: str, model: int = 4, memory: int = 4096, **facts: Any) -> dict[str, Any]:
        """Have a Pi that has been there for long."""
        number = len(self.pis) + 1
        self.pis[name] = {
            "model": model,
            "model_full": f"{model}B",
            "memory": memory,
            "cpu_speed": 1500,
            "nic_speed": 1000,
            "disk_size": "10.00",
            "ip": self.address.format(number),
            "ip_routed": f"2001:db8:{number}::/56",
            "ssh_port": str(self.ssh_port),
            "initialised_keys": True,
            "location": "CLL",
            "power": True,
            "is_booting": False,
            "boot_progress": None,
            "status": "live",
            **facts,
        }
        return self.pis[name]

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> Answer:
        """Return code, body and headers for a request."""
        call = f"{method} {path}"
        self.calls.append(call)
        if call in self.answers:
            code, said = self.answers[call]
            return code, {"error": said.format(authorization=headers["Authorization"])}, {}
        if path == "/login":
            return self._login(headers, body)
        if (headers["Authorization"] or "").removeprefix("Bearer ") not in self.tokens:
            return error(401, "Invalid token")
        asked = json.loads(body) if body else {}
        for pattern, does in self._routes().items():
            if found := re.fullmatch(pattern, call):
                return does(*found.groups(), asked)
        return error(404, "Not found")

    def _routes(self) -> dict[str, Callable[..., Answer]]:
        name = "([^/]+)"
        return {
            "GET /beta/pi/servers": self._list,
            "GET /beta/pi/models": self._models,
            f"GET /beta/pi/images/{name}": lambda model, _: (
                (200, IMAGES, {}) if model in {"3", "4"} else error(400, "Invalid model")
            ),
            f"POST /beta/pi/servers/{name}": self._order_pi,
            f"GET /beta/pi/servers/{name}": self._read_pi,
            f"DELETE /beta/pi/servers/{name}": self._cancel,
            f"PUT /beta/pi/servers/{name}/power": self._power,
            f"POST /beta/pi/servers/{name}/reboot": self._reboot,
            f"GET /queue/{name}/{name}": self._poll,
            "GET /beta/vps/servers": lambda _: (200, self.vms, {}),
            "GET /beta/vps/disk-sizes": lambda _: (200, DISK_SIZES, {}),
            "GET /beta/vps/pricing": lambda _: (200, PRICING, {}),
            f"POST /beta/vps/servers/{name}": self._order_vm,
            f"GET /beta/vps/servers/{name}": self._read_vm,
        }

    def _login(self, headers: Any, body: bytes) -> Answer:
        if headers["Authorization"] != f"Basic {BASIC}" or body != b"grant_type=client_credentials":
            return (
                401,
                {"error": "invalid_client", "error_description": "Invalid credentials"},
                {},
            )
        self.logins += 1
        token = f"token-{self.logins}"
        self.tokens.add(token)
        return 200, {"access_token": token, "expires_in": 300, "token_type": "bearer"}, {}

    def _list(self, _asked: Any) -> Answer:
        facts = ("model", "memory", "cpu_speed")
        # Those that are being provisioned aren't listed.
        there = {name: pi for name, pi in self.pis.items() if not pi.get("polls")}
        servers = {name: {fact: pi[fact] for fact in facts} for name, pi in there.items()}
        return 200, {"servers": servers}, {}

    def _models(self, _asked: Any) -> Answer:
        price = {"price": 725} if self.prices else {}
        return 200, {"models": [{**one, **price} for one in OFFERED]}, {}

    def _order_pi(self, name: str, asked: dict[str, Any]) -> Answer:
        fit = [
            one
            for one in OFFERED
            if one["model"] == asked["model"] and one["memory"] >= asked["memory"]
        ]
        valid = re.fullmatch("[a-z0-9-]{3,20}", name) and asked["disk"] % 10 == 0
        if not valid or not fit or asked["os_image"] not in IMAGES or not asked["ssh_key"]:
            return error(400, "Invalid parameters")
        if name in self.pis or name in self.taken:
            return error(409, "Server name is already in use")
        if self.sold_out:
            return error(503, "No servers of this specification available")
        self.orders.append({"name": name, **asked})
        booting = {"polls": self.steps, "boots": self.steps, "fails": self.fails}
        self.pi(name, fit[0]["model"], fit[0]["memory"], **booting)
        self.switch(True)
        return 202, {}, {"Location": f"{self.url}/queue/pi/{name}"}

    def _poll(self, kind: str, name: str, _asked: Any) -> Answer:
        thing = (self.pis if kind == "pi" else self.vms)[name]
        if thing.get("fails"):
            return error(500, "Provisioning failed")
        if thing["polls"]:
            thing["polls"] -= 1
            # The first answer has no status.
            return 202, {"status": "provisioning"} if thing["polls"] else {}, {}
        server = "pi" if kind == "pi" else "vps"
        return 303, {}, {"Location": f"{self.url}/beta/{server}/servers/{name}"}

    def _read_pi(self, name: str, _asked: Any) -> Answer:
        if name not in self.pis:
            return error(403, "Not authorised")
        pi = self.pis[name]
        if pi.get("polls"):
            pi["polls"] -= 1
            return error(409, "Server is not fully provisioned")
        if boots := pi.get("boots", 0):
            pi["boots"] -= 1
        shown = {fact: value for fact, value in pi.items() if fact not in {"polls", "boots"}}
        return 200, {**shown, "is_booting": boots > 0}, {}

    def _cancel(self, name: str, _asked: Any) -> Answer:
        if refused := self._of(name):
            return refused
        del self.pis[name]
        self.switch(False)
        return 204, {}, {}

    def _power(self, name: str, asked: dict[str, Any]) -> Answer:
        if refused := self._of(name):
            return refused
        if type(asked.get("power")) is not bool:
            return error(400, "power must be a boolean")
        self.pis[name] |= {"power": asked["power"], "boots": self.steps if asked["power"] else 0}
        self.switch(asked["power"])
        return 200, {}, {}

    def _reboot(self, name: str, _asked: Any) -> Answer:
        if refused := self._of(name):
            return refused
        if self.pis[name].get("boots"):
            return error(409, "Server is already being rebooted")
        self.pis[name]["boots"] = self.steps
        return 200, {}, {}

    def _of(self, name: str) -> Answer | None:
        if name not in self.pis:
            return error(403, "Not authorised")
        if self.pis[name].get("polls"):
            return error(409, "Server is not fully provisioned")
        return None

    def _order_vm(self, name: str, asked: dict[str, Any]) -> Answer:
        known = asked["product"] in PRODUCTS
        if not known or asked["disk_size"] not in DISK_SIZES["ssd"]:
            return error(400, "Invalid parameters")
        if name in self.vms or name in self.taken:
            return error(409, "Identifier is already in use")
        if self.sold_out:
            return error(503, "No capacity")
        self.orders.append(asked)
        self.vms[name] = {
            "identifier": name,
            "product": asked["product"],
            "polls": self.steps,
            "boots": self.steps,
            "fails": self.fails,
        }
        return 202, {}, {"Location": f"{self.url}/queue/vps/{name}"}

    def _read_vm(self, name: str, _asked: Any) -> Answer:
        if name not in self.vms:
            return error(404, "Server does not exist or access denied")
        vm = self.vms[name]
        if boots := vm["boots"]:
            vm["boots"] -= 1
        facts = {
            "status": "booting" if boots else "running",
            "ipv6": ["2001:0db8::0099"],
            "ssh_proxy": {"hostname": "127.0.0.1", "port": self.ssh_port},
            "vnc": {"mode": "vnc", "password": VNC_PASSWORD},
        }
        return 200, {**vm, **facts}, {}


def error(code: int, said: str) -> Answer:
    """Return an answer that refuses."""
    return code, {"error": said}, {}


@contextmanager
def serve(cloud: Cloud) -> Iterator[Cloud]:
    """Run the APIs, and ssh, until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            code, found, headers = cloud.answer(self.command, self.path, self.headers, body)
            content = json.dumps(found).encode() if code != 204 else b""
            self.send_response(code)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 -- as the library has them

        def log_message(self, *_arguments: object) -> None:
            pass

    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server,
        socket.create_server(("127.0.0.1", 0)) as ssh,
        _shaking(ssh, cloud),
    ):
        cloud.url = f"http://127.0.0.1:{server.server_port}"
        cloud.ssh_port = ssh.getsockname()[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield cloud
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _shaking(listener: socket.socket, cloud: Cloud) -> Iterator[None]:
    """Greet who comes, with the host key of that moment."""

    def greet() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(cloud.host_key)
            with suppress(EOFError, OSError, paramiko.SSHException):
                transport.start_server(server=paramiko.ServerInterface())
                transport.join(10)
            transport.close()

    thread = threading.Thread(target=greet)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def main() -> None:
    """Rent out one Pi, until the process is ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.mythic_beasts")
    parser.add_argument("folder", type=Path, help="gets an inventory's source and this process' id")
    parser.add_argument("address", help="of the Pi")
    parser.add_argument("switch", help="command that switches it, with {} for on or off")
    arguments = parser.parse_args()

    def switch(on: bool) -> None:
        switching = subprocess.Popen(shlex.split(arguments.switch.format("on" if on else "off")))
        # It boots while the API is asked about it. Once it is given back, it is gone.
        if not on:
            switching.wait()

    with serve(Cloud(steps=1, address=arguments.address, switch=switch)) as cloud:
        source = {**cloud.source(arguments.folder), "via": "ipv6"}
        (arguments.folder / "mythic_beasts.yml").write_text(json.dumps(source))
        (arguments.folder / "pid").write_text(str(os.getpid()))
        signal.pause()


if __name__ == "__main__":
    main()
