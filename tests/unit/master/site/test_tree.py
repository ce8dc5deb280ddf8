"""The site's files on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from master.site import tree


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def test_an_unchanged_file_keeps_its_time(tmp_path: Path) -> None:
    assert tree.write(tmp_path, "a/b.html", b"one")
    before = (tmp_path / "a/b.html").stat()
    assert not tree.write(tmp_path, "a/b.html", b"one")
    after = (tmp_path / "a/b.html").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert tree.write(tmp_path, "a/b.html", b"two")
    assert (tmp_path / "a/b.html").read_bytes() == b"two"
    assert files(tmp_path) == {"a", "a/b.html"}


def test_a_wheel_is_the_stores_own_file(tmp_path: Path) -> None:
    store, site = tmp_path / "store", tmp_path / "site"
    store.mkdir()
    (store / "w.whl").write_bytes(b"wheel")
    assert tree.link(site, "files/p/w.whl", store / "w.whl")
    assert not tree.link(site, "files/p/w.whl", store / "w.whl")
    assert (site / "files/p/w.whl").samefile(store / "w.whl")
    assert files(site) == {"files", "files/p", "files/p/w.whl"}


def test_a_link_that_a_kill_left_half_done_is_done_again(tmp_path: Path) -> None:
    store, site = tmp_path / "store", tmp_path / "site"
    store.mkdir()
    (store / "w.whl").write_bytes(b"wheel")
    (site / "files/p").mkdir(parents=True)
    (site / "files/p/.w.whl.new").hardlink_to(store / "w.whl")
    assert tree.link(site, "files/p/w.whl", store / "w.whl")
    assert files(site) == {"files", "files/p", "files/p/w.whl"}


def test_a_wheel_that_the_store_lost_is_named(tmp_path: Path) -> None:
    with pytest.raises(tree.StoreBrokenError, match=r"gone\.whl is recorded and not in the store"):
        tree.link(tmp_path, "files/p/gone.whl", tmp_path / "gone.whl")


def test_what_no_page_wants_is_found_and_removable_in_order(tmp_path: Path) -> None:
    wanted = ["project/p/index.html", "files/p/new.whl"]
    for name in (*wanted, "files/p/old.whl", "simple/p/index.html", "project/p/log/1.txt",
                 "project/p/.index.html.new", "project/q/index.html"):  # fmt: skip
        tree.write(tmp_path, name, b"")
    unwanted = tree.unwanted(tmp_path, "p", wanted)
    assert set(unwanted) == {
        "files/p/old.whl",
        "simple/p/index.html",
        "simple/p",
        "project/p/log/1.txt",
        "project/p/log",
        "project/p/.index.html.new",
    }
    tree.remove(tmp_path, unwanted)
    tree.remove(tmp_path, unwanted)
    left = {name for name in files(tmp_path) if (tmp_path / name).is_file()}
    assert left == {*wanted, "project/q/index.html"}
    assert tree.unwanted(tmp_path, "p", wanted) == []
    assert tree.strangers(tmp_path, set()) == {"p", "q"}
    assert tree.strangers(tmp_path, {"p", "r"}) == {"q"}


def test_a_tree_that_is_not_there_yet_has_no_strangers(tmp_path: Path) -> None:
    assert tree.strangers(tmp_path / "none", set()) == set()
