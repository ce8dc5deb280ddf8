"""Names at the border, and which wheels serve which target."""

from __future__ import annotations

import pytest
from packaging.utils import parse_wheel_filename
from packaging.version import InvalidVersion

from master import names
from master.targets import tags
from tests.support.wheels import BOOKWORM, TRIXIE


def test_names_are_normalised_and_wrong_ones_refused() -> None:
    assert names.project_name("Zope.Interface_x") == "zope-interface-x"
    for wrong in ("", "-x", "x-", "a b", "a/b", "é", "x" * 201):
        with pytest.raises(names.BadNameError):
            names.project_name(wrong)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("NumPy", ("numpy", None)),
        ("scipy == 1.4.1", ("scipy", "1.4.1")),
        ("a==1.0-RC1", ("a", "1.0rc1")),
    ],
)
def test_packages_are_a_name_and_perhaps_a_version(
    text: str, parsed: tuple[str, str | None]
) -> None:
    assert names.package(text) == parsed


@pytest.mark.parametrize(
    "text", ["", "a==", "a>=1", "a==1.*", "a[x]", "a==1,==2", "a @ https://x/a.zip", "a; b"]
)
def test_what_is_no_package_is_refused(text: str) -> None:
    with pytest.raises(names.BadNameError, match=r"NAME==VERSION|stands for many"):
        names.package(text)


@pytest.mark.parametrize("digits", [201, 5000])
def test_a_version_that_is_too_long_is_refused(digits: int) -> None:
    with pytest.raises(InvalidVersion, match="is longer than 200 characters"):
        names.version_text("1" * digits)
    with pytest.raises(names.BadNameError, match="is longer than 200 characters"):
        names.package(f"a=={'1' * digits}")
    # As it's normalised, too.
    with pytest.raises(InvalidVersion):
        names.version_text(f"{'1' * 197}-1")


@pytest.mark.parametrize(
    ("tag", "targets"),
    [
        ("py3-none-any", {"bookworm", "trixie"}),
        ("py2.py3-none-any", {"bookworm", "trixie"}),
        ("py2-none-any", set()),
        ("py312-none-any", {"trixie"}),
        ("cp311-none-any", {"bookworm"}),
        ("cp310-abi3-linux_armv7l", {"bookworm", "trixie"}),
        ("cp313-cp313-linux_armv6l", {"trixie"}),
        ("cp313-cp313t-linux_armv7l", set()),
        ("cp311-cp311-linux_x86_64", set()),
    ],
)
def test_a_wheel_serves_the_targets_whose_pip_would_install_it(tag: str, targets: set[str]) -> None:
    parsed = parse_wheel_filename(f"x-1-{tag}.whl")[3]
    assert {t.name for t in (BOOKWORM, TRIXIE) if tags.serves(parsed, t)} == targets


@pytest.mark.parametrize(
    ("requires", "runs"),
    [
        (None, True),
        ("", True),
        (">=3.9", True),
        (">=3.12", False),
        ("<3.11", False),
        ("<3.12", True),
        (">=3.11.4", True),
        ("<3.11.2", True),
        ("!=3.11.*", False),
        ("==3.11", True),
        ("not a specifier", True),
        (f">={'9' * 5000}", True),
    ],
)
def test_requires_python_is_read_as_pip_reads_it(requires: str | None, runs: bool) -> None:
    assert tags.runs_on(requires, BOOKWORM) is runs
