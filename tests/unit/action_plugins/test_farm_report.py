"""When following prints and when it gives up; all of it together: tests/integration."""

from __future__ import annotations

from typing import Any

from action_plugins.farm_report import Patience, Printed, is_done, standstill


def state(left: int = 1, running_s: float | None = None, **info: Any) -> dict[str, Any]:
    running = None if running_s is None else {"project": "lzo", "version": "1", "for_s": running_s}
    run = {
        "left": {"bookworm": {"jobs": left}} if left else {},
        "outstanding": left,
        "results": {},
        "stuck": {},
    }
    return {
        "run": run,
        "builders": [{"name": "pi1", "state": "idle", "queued": 0, "running": running}],
        "waiting": {},
        "trouble": {},
        "publishing_for_s": None,
        **info,
    }


def test_time_that_passes_is_no_news_until_a_minute_is_over() -> None:
    printed = Printed()
    assert printed.is_news(state(running_s=1.0), 0.0)
    assert not printed.is_news(state(running_s=6.0), 5.0)
    assert printed.is_news(state(running_s=61.0), 60.0)
    assert not printed.is_news(state(running_s=66.0), 65.0)


def test_a_builder_that_takes_up_another_job_is_news() -> None:
    printed = Printed()
    assert printed.is_news(state(), 0.0)
    assert printed.is_news(state(running_s=0.0), 5.0)
    assert printed.is_news(state(left=2, running_s=5.0), 10.0)


def test_trouble_is_news_when_it_comes_and_when_it_goes() -> None:
    printed = Printed()
    assert printed.is_news(state(), 0.0)
    assert printed.is_news(state(trouble={"publish": "failed 1 s ago"}), 5.0)
    assert not printed.is_news(state(trouble={"publish": "failed 6 s ago"}), 10.0)
    assert printed.is_news(state(), 15.0)


def test_a_job_that_waits_is_news_when_it_begins_and_when_it_was_tried_again() -> None:
    printed = Printed()
    assert printed.is_news(state(), 0.0)
    waiting = {"bookworm": {"jobs": 1, "tries": 2}}
    assert printed.is_news(state(waiting=waiting), 5.0)
    assert not printed.is_news(state(waiting=waiting), 10.0)
    assert printed.is_news(state(waiting={"bookworm": {"jobs": 1, "tries": 3}}), 15.0)


def test_a_problem_is_told_once_and_again_when_it_comes_back() -> None:
    printed = Printed()
    assert printed.is_new_problem("no answer")
    assert not printed.is_new_problem("no answer")
    printed.is_news(state(), 0.0)
    assert printed.is_new_problem("no answer")


def test_patience_ends_with_a_problem_that_lasts() -> None:
    patience = Patience(60.0)
    assert not patience.is_over("no answer", 0.0)
    assert not patience.is_over("no answer", 59.0)
    assert not patience.is_over(None, 60.0)
    assert not patience.is_over("no answer", 61.0)
    assert patience.is_over("no answer", 121.0)


def test_a_run_stands_still_when_only_stuck_jobs_are_left() -> None:
    info = state(left=3)
    info["run"]["stuck"] = {"bookworm": "bookworm: no builder"}
    assert standstill(info) == "bookworm: no builder"
    info["run"]["left"]["trixie"] = {"jobs": 1}
    info["run"]["outstanding"] = 4
    assert standstill(info) is None


def test_a_run_stands_still_when_rounds_have_stopped() -> None:
    assert standstill(state(trouble={"round": "no round", "sync": "PyPI"})) == "no round"


def test_builders_that_hold_jobs_are_waited_for_and_the_way_out_is_told() -> None:
    info = state(running_s=60.0, run=None, lines=["pi1  building lzo 1 for 1 min"])
    assert not is_done(info)
    assert standstill(info) == (
        "pi1  building lzo 1 for 1 min. Type the same again to wait for it, or ansible-playbook"
        " playbooks/resume.yml -l pi1 to give it work again"
    )
    assert Printed().is_news(info, 0.0)
    assert not is_done(state(run=None) | {"builders": [{"queued": 1, "running": None}]})
    assert is_done(state(run=None))


def test_a_failed_sync_does_not_stop_a_run() -> None:
    assert standstill(state(trouble={"sync": "PyPI"})) is None


def test_a_run_stands_still_while_it_is_not_published() -> None:
    assert standstill(state(left=0)) == "all is built, but not all is published"
    assert standstill(state(left=0, trouble={"publish": "web is down"})) == "web is down"
    assert standstill(state(left=0, publishing_for_s=1000.0)) is None
