# mypy: disable-error-code="type-arg"
# ruff: noqa: RUF005 -- Python 3.4 can't unpack into a list
"""The build backend of the trial sdist (PEP 517): writes down what it sees in the sandbox.

It runs on the release's own Python, which may be as old as 3.4, and under its pip, as old as 19.1;
so it imports nothing of this package.
"""

import base64
import hashlib
import json
import os
import platform
import shlex
import socket
import subprocess
import sys
import sysconfig
import zipfile
from importlib import import_module
from pathlib import Path

_INFO = "trial-0.dist-info"
_METADATA = "Metadata-Version: 2.1\nName: trial\nVersion: 0\n"
_WHEEL = "Wheel-Version: 1.0\nGenerator: trial\nRoot-Is-Purelib: false\nTag: {}\n"
_SOURCE = """
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "trial", NULL, -1, NULL};
PyMODINIT_FUNC PyInit_trial(void) { return PyModule_Create(&module); }
"""


def prepare_metadata_for_build_wheel(
    metadata_directory: str,
    config_settings: object = None,  # noqa: ARG001 -- PEP 517 names it
) -> str:
    """Write the metadata; return its folder (PEP 517)."""
    folder = Path(metadata_directory, _INFO)
    folder.mkdir()
    _write(folder / "METADATA", _METADATA)
    return _INFO


def build_wheel(
    wheel_directory: str,
    config_settings: object = None,  # noqa: ARG001 -- PEP 517 names it
    metadata_directory: object = None,  # noqa: ARG001 -- PEP 517 names it
) -> str:
    """Build a wheel with a compiled module and the facts, tagged as setuptools would (PEP 517)."""
    compiled = _compile()
    facts = _facts(compiled)
    with Path(compiled).open("rb") as stream:
        module = stream.read()
    members = {
        compiled: module,
        _INFO + "/METADATA": _METADATA.encode(),
        _INFO + "/WHEEL": _WHEEL.format(facts["tag"]).encode(),
        _INFO + "/facts.json": json.dumps(facts).encode(),
    }
    record = [
        "{},sha256={},{}".format(name, _digest(raw), len(raw)) for name, raw in members.items()
    ]
    members[_INFO + "/RECORD"] = "\n".join(record + [_INFO + "/RECORD,,", ""]).encode()
    name = "trial-0-{}.whl".format(facts["tag"])
    with zipfile.ZipFile(str(Path(wheel_directory, name)), "w") as archive:
        for path, raw in members.items():
            archive.writestr(path, raw)
    return name


def _compile() -> str:
    """Compile a C extension, import it and return its file's name."""
    _write(Path("trial.c"), _SOURCE)
    compiled = "trial" + str(sysconfig.get_config_var("EXT_SUFFIX"))
    include = "-I" + sysconfig.get_paths()["include"]
    subprocess.check_call(_compiler() + ["-shared", "-fPIC", include, "trial.c", "-o", compiled])
    sys.path.insert(0, str(Path.cwd()))
    import_module("trial")
    return compiled


def _compiler() -> list:
    return shlex.split(str(sysconfig.get_config_var("CC")))


def _facts(compiled: str) -> dict:
    with Path("probe.json").open(encoding="utf-8") as stream:
        probes = json.load(stream)
    accepted = _accepted()
    ours = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    triple = subprocess.check_output([_compiler()[0], "-dumpmachine"])
    return {
        "machine": platform.machine(),
        "page_size_bytes": os.sysconf("SC_PAGE_SIZE"),
        "python_version": "{}.{}".format(*sys.version_info[:2]),
        "compiled": compiled,
        "compiler": triple.decode().strip(),
        "python_triple": sysconfig.get_config_var("MULTIARCH"),
        "tag": "-".join(accepted[0].split("-")[:2] + [ours]),
        "accepted_tags": accepted,
        "uid": os.getuid(),
        "reached": [address for address, port in probes if _reaches(address, port)],
    }


def _accepted() -> list:
    """Return the tags that pip accepts, in its own words and order."""
    try:
        return [str(tag) for tag in import_module("pip._vendor.packaging.tags").sys_tags()]
    except ImportError:  # before pip 20
        return ["-".join(tag) for tag in import_module("pip._internal.pep425tags").get_supported()]


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as stream:
        stream.write(text)


def _reaches(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=3).close()
    except OSError:
        return False
    return True


def _digest(raw: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).rstrip(b"=").decode()
