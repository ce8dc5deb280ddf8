"""Names at the border, and which wheels serve which target."""

from __future__ import annotations

import pytest
from packaging.utils import parse_wheel_filename
from packaging.version import InvalidVersion

from filter_plugins.releases import release_facts
from master import names
from master.targets import registry, tags
from master.targets.tags import Target
from tests.support.wheels import BOOKWORM

TARGETS = {
    name: Target(1, **{fact: release[fact] for fact in registry.FACTS})
    for name, release in release_facts({}).items()
}
ARMHF = [name for name, target in TARGETS.items() if target.platform_tag == "linux_armv7l"]


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
        ("py3-none-any", {*TARGETS}),
        ("py2.py3-none-any", {*TARGETS}),
        ("py2-none-any", set()),
        ("py312-none-any", {"trixie", "trixie64"}),
        ("cp311-none-any", {"bookworm", "bookworm64"}),
        ("cp310-abi3-linux_armv7l", {"bookworm", "trixie"}),
        ("cp313-cp313-linux_armv6l", {"trixie"}),
        ("cp313-cp313t-linux_armv7l", set()),
        ("cp311-cp311-linux_x86_64", set()),
        ("cp34-cp34m-linux_armv7l", {"jessie"}),
        ("cp35-cp35m-linux_armv7l", {"stretch"}),
        ("cp35-cp35-linux_armv7l", set()),
        ("cp37-cp37m-linux_armv7l", {"buster"}),
        ("cp39-cp39-linux_armv7l", {"bullseye"}),
        ("cp35-abi3-linux_armv7l", {*ARMHF} - {"jessie"}),
        ("cp35-abi3-linux_aarch64", {"bookworm64", "trixie64"}),
        ("py3-none-linux_aarch64", {"bookworm64", "trixie64"}),
        ("cp313-cp313-linux_aarch64", {"trixie64"}),
        ("cp313-cp313-linux_armv8l", set()),
    ],
)
def test_a_wheel_serves_the_targets_whose_pip_would_install_it(tag: str, targets: set[str]) -> None:
    parsed = parse_wheel_filename(f"x-1-{tag}.whl")[3]
    assert {name for name, target in TARGETS.items() if tags.serves(parsed, target)} == targets


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


@pytest.mark.parametrize(
    ("requires", "runs"),
    [
        (">=3.4", {*TARGETS}),
        (">=3.5", {*TARGETS} - {"jessie"}),
        (">=2.7, !=3.0.*, !=3.1.*, !=3.2.*, !=3.3.*, !=3.4.*", {*TARGETS} - {"jessie"}),
        (">=3.6", {*TARGETS} - {"jessie", "stretch"}),
        ("~=3.5.2", {"stretch"}),
        ("<3.8", {"jessie", "stretch", "buster"}),
        (">=3.13", {"trixie", "trixie64"}),
    ],
)
def test_a_version_is_planned_for_the_releases_whose_python_it_admits(
    requires: str, runs: set[str]
) -> None:
    assert {name for name, target in TARGETS.items() if tags.runs_on(requires, target)} == runs
