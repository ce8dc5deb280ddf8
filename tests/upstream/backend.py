"""A build backend that lies in the sdist itself (PEP 517, in-tree): nothing is downloaded.

Runs `prebuild.py` of the sdist where there is one, compiles each `*.c` to an extension module with
the system's compiler and the libraries in `libraries.txt`, and packs what it has into a wheel.
"""

from __future__ import annotations

import base64
import hashlib
import os
import pathlib
import runpy
import subprocess
import sysconfig
import zipfile


def build_wheel(
    wheel_directory: str, config_settings: object = None, metadata_directory: object = None
) -> str:
    """Write the wheel into `wheel_directory` and return its file name (PEP 517)."""
    root = pathlib.Path.cwd()
    name, version = (root / "PKG-INFO").read_text().split("\n")[1:3]
    name, version = name.split(": ")[1], version.split(": ")[1]
    if (root / "prebuild.py").exists():
        runpy.run_path(str(root / "prebuild.py"), run_name="__main__")
    members = {f"{path.name}": path.read_bytes() for path in sorted(root.glob(f"{name}*.py"))}
    tag = "py3-none-any"
    for source in sorted(root.glob("*.c")):
        extension = source.stem + sysconfig.get_config_var("EXT_SUFFIX")
        libraries = (root / "libraries.txt").read_text().split()
        subprocess.run(
            [
                *["gcc", "-shared", "-fPIC", "-O1", f"-I{sysconfig.get_path('include')}"],
                *[str(source), "-o", extension],
                *(f"-l{library}" for library in libraries),
            ],
            check=True,
        )
        members[extension] = pathlib.Path(extension).read_bytes()
        python = f"cp{sysconfig.get_python_version().replace('.', '')}"
        tag = f"{python}-{python}-linux_{os.uname().machine}"
    info = f"{name}-{version}.dist-info"
    members[f"{info}/METADATA"] = (root / "PKG-INFO").read_bytes()
    pure = str(tag.endswith("any")).lower()
    members[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: in-tree\nRoot-Is-Purelib: {pure}\nTag: {tag}\n"
    ).encode()
    record = "".join(
        f"{path},sha256={_digest(content)},{len(content)}\n" for path, content in members.items()
    )
    members[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    filename = f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(pathlib.Path(wheel_directory, filename), "w") as wheel:
        for path, content in members.items():
            wheel.writestr(zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0)), content)
    return filename


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
