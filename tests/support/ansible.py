"""Ansible's commands, without the time that each of them takes to import Ansible.

A server that has imported it forks for each. Ansible reads its settings as it is imported: a
command with another environment gets a server that was started in that one.
"""

from __future__ import annotations

import functools
import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
import weakref
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Read by what needs them, and not before: these may differ from those of the server.
LATE = {"PATH", "PYTEST_CURRENT_TEST"}
# What nearly every play needs, as far as importing it does nothing else.
NEEDED = (
    "cli.playbook",
    "executor.process.worker",
    "executor.task_executor",
    "plugins.connection.local",
    "plugins.connection.ssh",
    "plugins.filter.core",
    "plugins.filter.mathstuff",
    "plugins.filter.urls",
    "plugins.strategy.linear",
    "plugins.test.core",
    "plugins.test.mathstuff",
)


def run(
    command: str, *arguments: str | Path, cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run ansible-playbook, ansible-inventory or ansible by the project's ansible.cfg."""
    inherited = {name: value for name, value in os.environ.items() if "ANSIBLE" not in name}
    ours = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    variables = {**inherited, **ours, **environment}
    argv = [str(Path(sys.executable).with_name(command)), *map(str, arguments)]
    server = _server(frozenset((k, v) for k, v in variables.items() if k not in LATE))
    with tempfile.TemporaryDirectory() as name:
        paths = [Path(name, "stdout"), Path(name, "stderr")]
        returncode = server.run(argv, str(cwd), variables, *map(str, paths))
        return subprocess.CompletedProcess(argv, returncode, *(path.read_text() for path in paths))


class Server:
    def __init__(self, environment: dict[str, str]) -> None:
        # Without this folder among those that Python imports from, where Ansible hasn't it, either.
        command = [sys.executable, "-P", __file__]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, env=environment
        )
        weakref.finalize(self, self._process.communicate)

    def run(self, *request: object) -> int:
        """Return with which code the command has ended; negative, the signal that did it."""
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())


@functools.lru_cache(maxsize=1)
def _server(environment: frozenset[tuple[str, str]]) -> Server:
    return Server(dict(environment))


def _serve() -> None:
    for name in NEEDED:
        importlib.import_module(f"ansible.{name}")
    # What is there by now is neither looked at nor copied in each child.
    gc.freeze()
    for line in sys.stdin:
        if pid := os.fork():
            sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
            sys.stdout.flush()
        else:
            _execute(*json.loads(line))


def _execute(argv: list[str], cwd: str, environment: dict[str, str], *outputs: str) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in enumerate(outputs, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = argv
    kind = Path(argv[0]).name.removeprefix("ansible").removeprefix("-") or "adhoc"
    try:
        importlib.import_module(f"ansible.cli.{kind}").main()
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        # Not sys.exit: what is to be cleaned up at the end is the server's.
        os._exit(int(end.code or 0))


if __name__ == "__main__":
    _serve()
