"""What releases/ says of each release has the form that the farm reads, and agrees with itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from filter_plugins import releases

ROOT = Path(__file__).parents[3]
FACTS = releases.release_facts({})
FILES = {path.stem: yaml.safe_load(path.read_text()) for path in releases.FOLDER.glob("*.yml")}
COMMON = FILES.pop("common")
OWN = {"suite", "python_version", "interpreter_tag", "abi_tag", "pip"}
# Debian's architecture, the platform tag of PEP 425, and uname -m.
PLATFORMS = {("armhf", "linux_armv7l", "armv7l"), ("arm64", "linux_aarch64", "aarch64")}
FORMS = {
    "suite": r"[a-z]+",
    "mirror": r"(http://[a-z.]+/[a-z]+/)?",
    "keyring": r"/usr/share/keyrings/[a-z-]+\.gpg",
    "python_version": r"3\.[0-9]+",
}
each_release = pytest.mark.parametrize("name", FILES)


def test_each_release_of_a_pi_is_there() -> None:
    assert set(FILES) == {
        *("jessie", "stretch", "buster", "bullseye", "bookworm", "trixie"),
        *("bookworm64", "trixie64"),
    }


@each_release
def test_a_file_says_only_what_differs(name: str) -> None:
    own = FILES[name]
    assert set(own) >= OWN
    assert set(own) <= OWN | set(COMMON) - {"apt_packages"}
    for fact, value in own.items():
        assert value != COMMON.get(fact), fact


@each_release
def test_the_facts_are_those_that_the_roles_take(name: str) -> None:
    specs = yaml.safe_load((ROOT / "roles/builder/meta/argument_specs.yml").read_text())
    options = specs["argument_specs"]["main"]["options"]["builder_release"]["options"]
    assert not ArgumentSpecValidator(options).validate(FACTS[name]).error_messages


@each_release
def test_a_fact_has_its_form(name: str) -> None:
    facts = FACTS[name]
    for fact, form in FORMS.items():
        assert re.fullmatch(form, facts[fact]), fact
    assert set(facts["pip"]) == {"version", "sha256"}
    assert re.fullmatch(r"[0-9]+(\.[0-9]+)+", facts["pip"]["version"])
    assert re.fullmatch(r"[0-9a-f]{64}", facts["pip"]["sha256"])
    assert all(re.fullmatch("[a-z-]+", component) for component in facts["components"])


@each_release
def test_the_tags_agree_with_python_and_platform(name: str) -> None:
    facts = FACTS[name]
    minor = int(facts["python_version"].removeprefix("3."))
    assert facts["interpreter_tag"] == f"cp3{minor}"
    # Until 3.8 the ABI had a name of its own where Python had its own malloc (PEP 3149).
    assert facts["abi_tag"] == f"cp3{minor}" + ("m" if minor < 8 else "")
    assert (facts["architecture"], facts["platform_tag"], facts["machine"]) in PLATFORMS
    assert name == facts["suite"] + ("64" if facts["architecture"] == "arm64" else "")


@pytest.mark.parametrize("name", [*FILES, "common"])
def test_apt_packages_have_valid_names_and_stand_once(name: str) -> None:
    own: dict[str, Any] = FILES.get(name, COMMON)
    common = COMMON["apt_packages"]
    added, removed = (own.get(f"apt_packages_{change}", []) for change in ("added", "removed"))
    for packages in (common, added, removed):
        assert packages == sorted(set(packages))
        # Debian Policy, 5.6.1
        assert all(re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", package) for package in packages)
    assert set(removed) <= set(common)
    assert not set(added) & set(common)
