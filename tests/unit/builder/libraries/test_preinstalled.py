"""What every installation of a release has is read from its tree, and no more than that."""

from __future__ import annotations

from pathlib import Path

from builder.libraries import preinstalled


def packages(tmp_path: Path, **stanzas: str) -> list[str]:
    """Return what every installation has of these: a name, with _ for -, and further fields."""
    database = tmp_path / "var/lib/dpkg"
    database.mkdir(parents=True)
    (database / "status").write_text(
        "\n\n".join(
            f"Package: {name.replace('_', '-')}\nStatus: install ok installed\n"
            f"Maintainer: a\nArchitecture: armhf\n{fields}\n"
            f"Description: demo\n with more lines\n .\n Essential: yes\n"
            for name, fields in stanzas.items()
        ),
        encoding="utf-8",
    )
    return sorted(preinstalled.packages(tmp_path))


def test_what_is_essential_or_important_and_what_it_needs_is_everywhere(tmp_path: Path) -> None:
    assert packages(
        tmp_path,
        dash="Essential: yes\nPre-Depends: libc6 (>= 2.36)\nDepends: debianutils (>= 2.17), dpkg",
        debianutils="Priority: required",
        dpkg="Priority: optional\nDepends: libmd0:any, libzstd1 (>= 1.5.2)",
        libmd0="Priority: optional",
        libc6="Priority: optional\nDepends: libgcc-s1",
        libgcc_s1="Priority: optional\nDepends: libc6\nRecommends: libidn2-0",
        libzstd1="Priority: optional",
        libidn2_0="Priority: optional",
        systemd="Priority: important\nDepends: libkmod2",
        libkmod2="Priority: optional",
        wget="Priority: standard\nDepends: libidn2-0",
    ) == [
        "dash",
        "debianutils",
        "dpkg",
        "libc6",
        "libgcc-s1",
        "libkmod2",
        "libmd0",
        "libzstd1",
        "systemd",
    ]


def test_what_python_needs_is_everywhere_and_what_only_builds_need_is_not(tmp_path: Path) -> None:
    assert packages(
        tmp_path,
        gcc="Depends: libgomp1, libc6-dev",
        libgomp1="",
        libc6_dev="Depends: libc6",
        libc6="",
        liblzo2_dev="Depends: liblzo2-2",
        liblzo2_2="Depends: libc6",
        python3="Depends: python3.11 (>= 3.11.2-1~), python3-minimal:any",
        python3_minimal="",
        python3_dev="Depends: python3, libexpat1-dev",
        libexpat1_dev="",
    ) == ["python3", "python3-minimal"]


def test_of_alternatives_the_first_that_is_installed_is_meant(tmp_path: Path) -> None:
    assert packages(
        tmp_path,
        apt="Priority: required\nDepends: sqv | gpgv | gpgv1, base-passwd | adduser",
        gpgv="",
        gpgv1="Depends: libreadline8",
        libreadline8="",
        adduser="",
    ) == ["adduser", "apt", "gpgv"]


def test_a_virtual_package_is_the_one_that_provides_it(tmp_path: Path) -> None:
    assert packages(
        tmp_path,
        apt="Essential: yes\nDepends: libgnutls30 (>= 3.7), debconf-2.0",
        libgnutls30t64="Provides: libgnutls30 (= 3.8.9), gnutls",
        debconf="Provides: debconf-2.0",
    ) == ["apt", "debconf", "libgnutls30t64"]


def test_one_of_several_that_provide_it_may_be_there_for_builds_alone(tmp_path: Path) -> None:
    assert packages(
        tmp_path,
        base_files="Essential: yes\nPre-Depends: awk",
        mawk="Provides: awk",
        gawk="Provides: awk\nDepends: libmpfr6",
        libmpfr6="",
    ) == ["base-files"]


def test_a_package_that_was_removed_is_nowhere(tmp_path: Path) -> None:
    removed = "Essential: yes\nStatus: deinstall ok config-files"
    assert packages(tmp_path, bash="Essential: yes\nDepends: libtinfo6", libtinfo6=removed) == [
        "bash"
    ]
