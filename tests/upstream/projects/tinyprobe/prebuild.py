"""A stranger's build that looks around: prints a line `PROBE what: reached` for all that it gets at."""

import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.parse

probe = json.loads(pathlib.Path("probe.json").read_text())


def say(what, reached, detail=""):
    print(f"PROBE {what}: {'reached' if reached else 'closed'} {detail}", flush=True)


def connect(host, port, timeout, proxy):
    """Connect, by the proxy if there is one; raises OSError."""
    if not proxy:
        socket.create_connection((host, port), timeout).close()
        return
    by = urllib.parse.urlsplit(proxy)
    connection = http.client.HTTPConnection(by.hostname, by.port, timeout=timeout)
    connection.set_tunnel(host, port)
    connection.connect()
    connection.close()


proxy = os.environ.get("HTTPS_PROXY")
for host, port in probe["closed"]:
    for what, by in [("tcp", None)] + [("proxied", proxy)] * bool(proxy):
        try:
            connect(host, port, 3, by)
            say(f"{what} {host} {port}", True)
        except OSError as error:
            say(f"{what} {host} {port}", False, error)
for host, port in probe["open"]:
    # This one stands in the world, and may be slow.
    for _ in range(3):
        try:
            connect(host, port, 10, proxy)
            say(f"open {host} {port}", True)
            break
        except OSError as error:
            say(f"open {host} {port}", False, error)

for path in probe["paths"]:
    try:
        entry = pathlib.Path(path)
        found = os.listdir(entry) if entry.is_dir() else entry.read_bytes()
        say(f"read {path}", bool(found))
    except OSError as error:
        say(f"read {path}", False, error)

# What lies in the rootfs is a throw-away copy; even so nothing of it should be this user's to write.
for path in ["/etc/passwd", "/usr/bin/probe", "/opt/wheelyard/pip/probe", "/var/lib/probe", "/probe"]:
    try:
        with open(path, "ab") as file:
            file.write(b"probe\n")
        say(f"write {path}", True)
    except OSError as error:
        say(f"write {path}", False, error)

for variable in os.environ:
    if any(word in variable for word in ("PASS", "SECRET", "TOKEN", "KEY")):
        say(f"environment {variable}", True)

print("WHEELYARD_BUILD is", os.environ.get("WHEELYARD_BUILD"), flush=True)

processes = [entry for entry in os.listdir("/proc") if entry.isdigit()]
foreign = 0
for process in processes:
    try:
        foreign += os.stat(f"/proc/{process}").st_uid != os.getuid()
    except OSError:
        continue
say("processes of others", foreign > 0, foreign)

for command in (["mount", "-t", "tmpfs", "none", "/mnt"], ["unshare", "-U", "true"], ["su", "-c", "true"]):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=10)
        say(f"run {command[0]}", done.returncode == 0)
    except (OSError, subprocess.SubprocessError) as error:
        say(f"run {command[0]}", False, error)

# Left behind on purpose: it must not outlive the build.
subprocess.Popen(
    [sys.executable, "-c", "import time; time.sleep(3600)", "left-behind"],
    start_new_session=True,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
)
time.sleep(1)
say("end", True)
# What a build says is in its log only when it fails.
sys.exit("done with looking around")
