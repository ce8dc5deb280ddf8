"""What people are told of the farm: words, columns, estimates, and when a run is hopeless."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from master.status import render
from master.status.model import (
    Builder,
    Counts,
    Failure,
    Info,
    Note,
    Remaining,
    Run,
    Running,
    State,
    TargetResult,
    Waiting,
)
from protocol.report import Rootfs

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


def ago(**units: float) -> datetime:
    return NOW - timedelta(**units)


def builder(name: str, state: State = "idle", target: str = "bookworm") -> Builder:
    return Builder(
        name=name,
        target=target,
        state=state,
        running=Running("spidev", "3.6", 80) if state == "building" else None,
        queued=0,
        last_seen_at=None if state == "new" else ago(seconds=5),
        missing_since=ago(minutes=20) if state == "missing" else None,
        refuses="its disk is full" if state == "refuses" else None,
        paused_at=ago(hours=1) if state == "paused" else None,
        paused_reason="a new fan" if state == "paused" else None,
        rootfs=None if state == "new" else Rootfs("3f2a9c1b" * 8, ago(days=12)),
    )


def farm(
    *builders: Builder,
    run: Run | None = None,
    waiting: dict[str, Waiting] | None = None,
    **notes: Note,
) -> Info:
    return Info(
        now=NOW,
        site_url="https://farm.example",
        lost_after_s=900,
        targets={"bookworm": Counts(pending=12, leased=3, built=140, failed=5)},
        builders=builders,
        waiting=waiting or {},
        notes=notes,
        is_syncing=False,
        ignored=(),
        stale=(),
        run=run,
    )


def run(unpublished: int = 0, failures: tuple[Failure, ...] = (), **left: Remaining) -> Run:
    return Run(
        since=ago(minutes=6),
        left=left,
        unpublished=unpublished,
        results={"bookworm": TargetResult(3, len(failures), 0, 3, 250.0)},
        failures=failures,
    )


def test_a_rootfs_whose_refresh_failed_or_is_twice_overdue_is_named() -> None:
    made = Rootfs("3f2a9c1b" * 8, ago(days=12))
    old = replace(made, made_at=ago(days=61))
    info = farm(
        replace(builder("pi1"), rootfs=replace(made, failed=True)),
        replace(builder("pi2"), rootfs=old),
        builder("pi3"),
        builder("pi4", "new"),
    )
    assert render.trouble(info) == {
        "rootfs of pi1": "pi1 couldn't make its rootfs anew: see journalctl -u"
        " wheelyard-rootfs@bookworm on it",
        "rootfs of pi2": "The rootfs of pi2 is 61 days old, without the updates since: free some"
        " of its disk, or give a newer rootfs_tarball",
    }


def test_a_rootfs_by_a_clock_that_is_ahead_is_new() -> None:
    ahead = replace(builder("pi1"), rootfs=Rootfs("3f2a9c1b" * 8, ago(days=-2)))
    assert render.rootfs_text(ahead, NOW) == "0 days old, 3f2a9c1b3f2a"


def test_status_shows_queue_builders_and_when_things_happened() -> None:
    made = "12 days old, 3f2a9c1b3f2a"
    info = farm(
        replace(builder("pi1", "building"), queued=2),
        builder("pi2"),
        builder("pi3", "missing"),
        builder("pi4", "refuses"),
        last_sync=Note("ok", ago(minutes=5)),
        last_round=Note("ok", ago(seconds=3)),
    )
    assert render.status(info) == [
        "https://farm.example at 2026-11-21 08:00 UTC",
        "",
        "target    pending  leased  built  failed  skipped",
        "bookworm       12       3    140       5        0",
        "",
        "builder  target    rootfs                     state",
        f"pi1      bookworm  {made}  building spidev 3.6 for 1 min 20 s; 2 more jobs in its spool",
        f"pi2      bookworm  {made}  idle",
        f"pi3      bookworm  {made}  has not answered for 20 min (since 2026-11-21 07:40 UTC)",
        f"pi4      bookworm  {made}  takes no jobs: its disk is full",
        "",
        "last sync     5 min ago",
        "last publish  never",
        "last round    3 s ago",
    ]


def test_a_builder_that_has_not_begun_is_not_idle() -> None:
    text = render.builder_text(replace(builder("pi1"), queued=1), NOW)
    assert text == "between two builds; 1 more job in its spool"


def test_a_paused_builder_is_shown_with_the_reason_and_with_what_it_does() -> None:
    pi1 = builder("pi1", "paused")
    pause = "paused since 2026-11-21 07:00 UTC (a new fan)"
    assert render.builder_text(pi1, NOW) == f"{pause}; idle"
    building = replace(pi1, running=Running("spidev", "3.6", 80), queued=1)
    text = f"{pause}; building spidev 3.6 for 1 min 20 s; 1 more job in its spool"
    assert render.builder_text(building, NOW) == text
    refusing = replace(pi1, refuses="its disk is full")
    assert render.builder_text(refusing, NOW) == f"{pause}; takes no jobs: its disk is full"
    away = replace(pi1, state="missing", missing_since=ago(minutes=20))
    assert render.builder_text(away, NOW).startswith(f"{pause}; has not answered for 20 min")


def test_a_run_has_no_hope_in_a_paused_builder_but_for_what_it_builds() -> None:
    work = run(bookworm=Remaining(3, 60.0))
    pi1 = builder("pi1", "paused")
    line = render.stuck(farm(pi1, run=work))["bookworm"]
    assert line.endswith("no builder that takes them: pi1 " + render.builder_text(pi1, NOW))
    assert render.eta_s(farm(pi1, run=work)) is None
    finishing = replace(pi1, running=Running("spidev", "3.6", 1))
    assert render.stuck(farm(finishing, run=work)) == {}
    assert "  pi1  paused since" in "\n".join(render.summary(farm(pi1, run=run())))


def test_a_failed_publish_is_told_until_one_succeeds() -> None:
    failed = Note("rsync: web\ncan't be reached", ago(minutes=1))
    info = farm(last_publish=Note("", ago(minutes=2)), last_publish_error=failed)
    assert render.trouble(info) == {
        "publish": "The last publish failed 1 min ago: rsync: web can't be reached"
    }
    assert render.status(info)[-1] == render.trouble(info)["publish"]
    later = farm(last_publish=Note("", ago(seconds=30)), last_publish_error=failed)
    assert render.trouble(later) == {}


def test_a_master_without_room_is_told() -> None:
    full = Note("the disk is nearly full: no jobs are handed out", ago(minutes=1))
    assert render.trouble(farm(claims_paused=full)) == {"claims": full.value}
    assert render.trouble(farm(claims_paused=replace(full, value=""))) == {}


def test_rounds_that_stopped_are_told() -> None:
    assert render.trouble(farm(last_round=Note("", ago(minutes=9)))) == {}
    late = render.trouble(farm(last_round=Note("", ago(minutes=17))))
    assert late["round"].startswith("The last round ended 17 min ago: see journalctl")
    # One may end while the farm's state is being read.
    assert render.trouble(farm(last_round=Note("", ago(seconds=-1)))) == {}


def test_a_round_that_publishes_for_long_is_not_late() -> None:
    round_ended, began = Note("", ago(minutes=17)), Note("", ago(minutes=16))
    earlier, later = Note("", ago(minutes=20)), Note("", ago(minutes=1))
    info = farm(last_round=round_ended, publish_began=began, last_publish=earlier)
    assert render.trouble(info) == {}
    assert render.publishing_for_s(info) == 16 * 60
    assert render.status(info)[-2:] == ["last round    17 min ago", "publishing    for 16 min"]
    unpublished = farm(publish_began=began, run=run(unpublished=2))
    assert render.progress(unpublished)[0].endswith("2 projects to publish, on the way for 16 min")
    assert render.publishing_for_s(farm(publish_began=began, last_publish=later)) is None
    assert render.publishing_for_s(farm(publish_began=began, last_publish_error=later)) is None
    # Cut off, and no round came after it.
    assert render.publishing_for_s(farm(publish_began=Note("", ago(minutes=121)))) is None


def test_progress_tells_what_is_left_and_what_each_builder_does() -> None:
    info = farm(
        builder("pi1", "building"),
        builder("pi3", target="trixie"),
        run=run(bookworm=Remaining(jobs=2, expected_s=200.0)),
    )
    assert render.progress(info) == [
        "6 min: 2 left for bookworm, 3 built, 0 failed; about 2 min to go",
        "  pi1  building spidev 3.6 for 1 min 20 s",
    ]


def test_what_waits_for_its_sdist_is_told_with_the_next_retry_and_why() -> None:
    one = Waiting(1, "tinyc", "1.0", ago(minutes=-5), 3, "x.tar.gz: the server\nsays 404 Not Found")
    two = Waiting(2, "lzo", "2.1", ago(minutes=-9), 1, "timed out")
    line = (
        "1 of these waits for its sdist: tinyc 1.0 is tried again at 08:05 UTC (try 3):"
        " x.tar.gz: the server says 404 Not Found"
    )
    assert line in render.status(farm(waiting={"bookworm": one}))
    (many,) = render.waiting_lines(farm(waiting={"bookworm": two, "trixie": one}))
    assert many == (
        "3 of these wait for their sdists: tinyc 1.0 is the first to be tried again, at 08:05 UTC"
        " (try 3): x.tar.gz: the server says 404 Not Found"
    )
    work = run(bookworm=Remaining(jobs=2, expected_s=200.0, waiting=1))
    info = farm(builder("pi1", "building"), run=work, waiting={"bookworm": one})
    assert render.progress(info) == [
        "6 min: 2 left for bookworm, 3 built, 0 failed; about 2 min to go",
        f"  {line}",
        "  pi1  building spidev 3.6 for 1 min 20 s",
    ]
    assert render.standing_still(info) == {}


def test_a_run_that_only_waits_for_sdists_stands_still_and_has_no_estimate() -> None:
    one = Waiting(1, "tinyc", "1.0", ago(minutes=-5), 3, "404")
    work = run(bookworm=Remaining(jobs=1, expected_s=None, waiting=1))
    info = farm(builder("pi1"), run=work, waiting={"bookworm": one})
    assert render.eta_s(info) is None
    assert render.progress(info) == [
        "6 min: 1 left for bookworm, 3 built, 0 failed; nothing to build now",
        "  1 of these waits for its sdist: tinyc 1.0 is tried again at 08:05 UTC (try 3): 404",
        "  pi1  idle",
    ]
    assert render.standing_still(info) == {
        "bookworm": "bookworm: 1 job left, waiting for its sdist; the farm goes on by itself:"
        " tinyc 1.0 is tried again at 08:05 UTC (try 3): 404"
    }
    # Who could build it is away: that is what someone has to see to.
    gone = farm(builder("pi1", "missing"), run=work, waiting={"bookworm": one})
    assert "no builder that takes them" in render.standing_still(gone)["bookworm"]


def test_the_estimate_counts_nothing_that_waits() -> None:
    work = run(bookworm=Remaining(3, 300.0, waiting=2), trixie=Remaining(1, None, waiting=1))
    builders = [builder("a"), builder("b"), builder("c", target="trixie")]
    # The one job that doesn't wait is not shared.
    assert render.eta_s(farm(*builders, run=work)) == 300.0


def test_progress_of_a_run_that_outlasts_its_estimate() -> None:
    info = farm(builder("pi1", "building"), run=run(bookworm=Remaining(jobs=1, expected_s=60.0)))
    assert render.progress(info)[0].endswith("0 failed; longer than builds like these took")


def test_progress_of_a_run_that_waits_to_be_published() -> None:
    info = farm(builder("pi1"), run=run(unpublished=2))
    assert render.progress(info) == ["6 min: nothing left to build, 2 projects to publish"]


def test_of_many_builders_those_with_something_to_tell_are_shown() -> None:
    builders = [builder(f"pi{n:03}") for n in range(400)]
    builders[300] = builder("pi300", "refuses")
    lines = render.builder_lines(builders, NOW)
    assert len(lines) == render.BUILDERS_SHOWN + 1
    assert "pi300  takes no jobs: its disk is full" in lines
    assert lines[-1] == "and 388 more builders: 388 idle"


def test_the_estimate_shares_the_work_among_builders_that_can() -> None:
    work = run(bookworm=Remaining(jobs=4, expected_s=1000.0))
    idle, building = builder("pi1"), builder("pi2", "building")
    assert render.eta_s(farm(idle, building, builder("pi3", "missing"), run=work)) == 460.0
    assert render.eta_s(farm(idle, run=work)) == 1000.0


def test_a_job_is_not_shared() -> None:
    work = run(bookworm=Remaining(jobs=1, expected_s=100.0))
    assert render.eta_s(farm(builder("pi1"), builder("pi2"), run=work)) == 100.0


def test_the_estimate_is_that_of_the_slowest_target() -> None:
    work = run(bookworm=Remaining(1, 100.0), trixie=Remaining(2, 300.0))
    assert render.eta_s(farm(builder("a"), builder("b", target="trixie"), run=work)) == 300.0


def test_there_is_no_estimate_without_a_past_or_a_builder() -> None:
    assert render.eta_s(farm(builder("a"), run=run(bookworm=Remaining(1, None)))) is None
    assert render.eta_s(farm(run=run(bookworm=Remaining(1, 5.0)))) is None


def test_a_run_is_stuck_when_all_its_builders_are_lost_or_refuse() -> None:
    work = run(bookworm=Remaining(3, None))
    lost, refusing = builder("pi1", "missing"), builder("pi2", "refuses")
    assert render.stuck(farm(lost, refusing, run=work)) == {
        "bookworm": "bookworm: 3 jobs left, and no builder that takes them:"
        " pi1 has not answered for 20 min (since 2026-11-21 07:40 UTC);"
        " pi2 takes no jobs: its disk is full"
    }
    recently = replace(lost, missing_since=ago(minutes=14))
    finishing = replace(refusing, running=Running("spidev", "3.6", 1))
    for hope in (recently, finishing, builder("pi3"), builder("pi3", "new")):
        assert render.stuck(farm(lost, hope, run=work)) == {}


def test_a_target_without_builders_is_stuck_and_says_what_to_do() -> None:
    stuck = render.stuck(farm(run=run(bookworm=Remaining(1, None))))
    assert "1 job left, and no builder" in stuck["bookworm"]
    assert "site.yml -l bookworm" in stuck["bookworm"]


def test_the_summary_names_each_failure_in_one_line() -> None:
    failure = Failure("pycups", "2.0.4", "bookworm", "cups/http.h:\nNo such file")
    assert render.summary(farm(run=run(failures=(failure,)))) == [
        "target    built  failed  skipped  wheels  build time",
        "bookworm      3       1        0       3  4 min 10 s",
        "",
        "Failed, with the log on the project's page:",
        "  pycups 2.0.4  bookworm  cups/http.h: No such file",
        "",
        "Done and published in 6 min: https://farm.example/simple/",
    ]


def test_the_summary_names_the_builders_that_are_away() -> None:
    away = builder("pi2", "missing")
    lines = render.summary(
        farm(builder("pi1"), away, builder("pi9", "missing", "trixie"), run=run())
    )
    assert lines[-4:-2] == [
        "Builders that take no jobs:",
        f"  pi2  {render.builder_text(away, farm().now)}",
    ]


def test_the_summary_of_a_run_that_was_given_up_says_what_is_left() -> None:
    assert render.summary(farm(run=run(bookworm=Remaining(2, None))))[-1] == (
        "After 6 min, 2 jobs left to build."
    )
    assert render.summary(farm(run=run(unpublished=1)))[-1] == (
        "After 6 min, 1 project left to publish."
    )
