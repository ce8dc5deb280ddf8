"""A project with one of all that a page can show, and strangers' text where there may be any."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from master.site.model import Build, Job, Project, Target, Version, Wheel

BOOKWORM = Target("bookworm", "3.11", "linux_armv7l")
TRIXIE = Target("trixie", "3.13", "linux_armv7l")
HOSTILE = "</a></p><script>alert(1)</script>\n\"'&"
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC)


def wheel(filename: str, target: str = "bookworm", **facts: object) -> Wheel:
    values: dict[str, object] = {
        "size_bytes": 933,
        "sha256": "a" * 64,
        "metadata_sha256": "b" * 64,
        "requires_python": ">=3.9,<4",
        # The database answers in UTC; nothing may depend on that.
        "uploaded_at": MOMENT.astimezone(timezone(timedelta(hours=2))),
        "apt_packages": (),
    }
    return Wheel(filename=filename, target=target, **(values | facts))  # type: ignore[arg-type]


def build(build_id: int, target: str, **facts: object) -> Build:
    values: dict[str, object] = {
        "attempt": 1,
        "status": "built",
        "reason": None,
        "started_at": MOMENT,
        "finished_at": MOMENT,
        "duration_s": 65.2,
        "log_size_bytes": 1234,
    }
    return Build(build_id=build_id, target=target, **(values | facts))  # type: ignore[arg-type]


def demo() -> Project:
    """Return 1.9 and 1.10 (which sort as versions), one yanked, one failed, one removed."""
    return Project(
        "demo-lib",
        "Demo_Lib",
        (
            Version(
                "1.10",
                requires_python=">=3.9",
                jobs=(Job("bookworm", "built"), Job("trixie", "failed", f"cc1: {HOSTILE}")),
                wheels=(
                    wheel(
                        "demo_lib-1.10-cp311-cp311-linux_armv7l.whl",
                        apt_packages=("liblzo2-2", "libstdc++6"),
                        not_armv6=f"{HOSTILE} has Tag_CPU_arch: v7",
                    ),
                ),
                builds=(
                    build(7, "bookworm"),
                    build(8, "trixie", status="failed", reason="lost", log_size_bytes=None),
                    build(9, "trixie", attempt=2, status="failed", reason=HOSTILE),
                ),
            ),
            Version(
                "1.9",
                yanked=True,
                yanked_reason=HOSTILE,
                jobs=(Job("bookworm", "built"), Job("trixie", "skipped", "covered by another")),
                wheels=(wheel("demo_lib-1.9-1-py3-none-any.whl", requires_python=None),),
                builds=(build(5, "bookworm"),),
            ),
            Version(
                "1.8",
                present=False,
                jobs=(Job("bookworm", "built"),),
                wheels=(wheel("demo_lib-1.8-cp311-cp311-linux_armv7l.whl"),),
                builds=(build(4, "bookworm"),),
            ),
            Version("1.7", jobs=(Job("bookworm", "pending"), Job("trixie", "building"))),
            Version("1.0"),
        ),
        (BOOKWORM, TRIXIE),
    )
