"""A tarball is made once, whole, and again when what it's made of changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab import certificates, image, mirror

RECIPE = image.Recipe(name="pi", release="bookworm", architecture="armhf", packages=["b", "a"])


@pytest.fixture(name="maker")
def _maker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a stand-in for mmdebstrap on the path; its commands are in the file that is returned.

    It writes its target, and then fails as often as the file `failures` says.
    """
    tools = tmp_path / "bin"
    tools.mkdir()
    calls = tmp_path / "calls"
    program = tools / "mmdebstrap"
    program.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {calls}\n'
        'for word; do case $word in */system.tar) echo half > "$word";; esac; done\n'
        f"[ $(wc -l < {calls}) -gt $(cat {tmp_path}/failures) ] || exit 1\n"
        'for word; do case $word in */system.tar) echo whole > "$word";; esac; done\n'
    )
    program.chmod(0o755)
    (tmp_path / "failures").write_text("0")
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setattr(image, "PAUSES_S", (0, 0))
    # Images belong to root, and are made by root; this test needn't be.
    monkeypatch.setattr(os, "chown", lambda *_, **__: None)
    monkeypatch.setattr(certificates, "added", list)
    monkeypatch.setattr(mirror, "debian_mirror", lambda *_: "http://mirror.example/debian")
    return calls


def test_a_tarball_is_made_once(maker: Path, tmp_path: Path) -> None:
    first = image.make(RECIPE, tmp_path / "cache")
    second = image.make(RECIPE, tmp_path / "cache")
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["path"] == second["path"]
    assert Path(str(first["path"])).read_text() == "whole\n"
    assert first["sha256"] == second["sha256"] == image.file_sha256(Path(str(first["path"])))
    assert len(maker.read_text().splitlines()) == 1
    assert not list((tmp_path / "cache").glob("*.partial"))


def test_a_mirror_that_fails_is_asked_again(maker: Path, tmp_path: Path) -> None:
    (tmp_path / "failures").write_text("2")
    assert image.make(RECIPE, tmp_path / "cache")["changed"]
    assert len(maker.read_text().splitlines()) == 3


def test_a_failure_leaves_no_half_tarball(maker: Path, tmp_path: Path) -> None:
    (tmp_path / "failures").write_text("3")
    with pytest.raises(RuntimeError, match="mmdebstrap failed 3 times, its log is"):
        image.make(RECIPE, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.tar"))
    # What was left is no hindrance, nor taken for a result.
    assert image.make(RECIPE, tmp_path / "cache")["changed"]


def test_a_tarball_gets_its_name_when_it_and_its_checksum_are_on_the_disk(
    maker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    written = {}

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        written[path.name] = path.read_text()
        assert not list(cache.glob("*.tar"))

    monkeypatch.setattr(os, "fsync", fsync)
    made = image.make(RECIPE, cache)
    name = Path(str(made["path"])).name
    assert written == {f"{name}.sha256": f"{made['sha256']}  {name}\n", "system.tar": "whole\n"}


def test_only_the_main_suite_is_asked_for(maker: Path, tmp_path: Path) -> None:
    image.make(RECIPE, tmp_path / "cache")
    words = maker.read_text().split()
    assert words[-3] == "bookworm"
    assert words[-1] == "http://mirror.example/debian"
    assert "--architectures=armhf" in words
    assert "--include=b,a" in words


def test_the_digest_follows_all_that_a_tarball_is_made_of(tmp_path: Path) -> None:
    files = tmp_path / "files"
    (files / "etc").mkdir(parents=True)
    (files / "etc/a").write_text("1")

    def digest(recipe: image.Recipe, authorities: list[str]) -> str:
        return image.recipe_digest(recipe, authorities)

    plain = image.Recipe("pi", "bookworm", "armhf", ["b", "a"], files=str(files))
    same = image.Recipe("pi", "bookworm", "armhf", ["a", "b"], files=str(files))
    assert digest(plain, []) == digest(same, [])
    seen = {
        digest(plain, []),
        digest(plain, ["a certificate"]),
        digest(image.Recipe("pi", "trixie", "armhf", ["a", "b"], files=str(files)), []),
        digest(image.Recipe("pi", "bookworm", "armhf", ["a"], files=str(files)), []),
    }
    (files / "etc/a").write_text("2")
    seen.add(digest(plain, []))
    (files / "etc/a").chmod(0o755)
    seen.add(digest(plain, []))
    assert len(seen) == 6


def test_modes_in_an_image_do_not_depend_on_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "chown", lambda *_, **__: None)
    files = tmp_path / "files"
    (files / "etc").mkdir(parents=True, mode=0o777)
    (files / "etc/a").write_text("1")
    (files / "etc/a").chmod(0o666)
    (files / "etc/b").write_text("2")
    (files / "etc/b").chmod(0o777)
    recipe = image.Recipe("pi", "bookworm", "armhf", [], files=str(files))
    target = tmp_path / "target"
    image.write_files(recipe, target, ["a certificate\n"])
    modes = {
        str(path.relative_to(target)): path.stat().st_mode & 0o777
        for path in target.rglob("*")
        if path.is_file()
    }
    assert modes == {
        "etc/a": 0o644,
        "etc/b": 0o755,
        "usr/local/share/ca-certificates/machine-0.crt": 0o644,
    }
