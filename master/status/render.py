"""What the farm is doing, as text for people. Pure: in comes an Info, out come lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from master.fleet.leases import LONGEST_ROUND
from master.status.model import Builder, Info, Note, Waiting
from master.text import clock, count, duration, indent, one_line, table

BUILDERS_SHOWN = 12
FAILURES_SHOWN = 50
SHORT = 200
"""Characters of words in a column or a list."""
HAPPENS = ("sync", "publish", "round")
LONGEST_PUBLISH = timedelta(hours=2)
"""systemd ends a round that takes longer."""
OLD_ROOTFS = timedelta(days=60)
"""Twice the time after which a Pi makes its rootfs anew."""
DIGEST_SHOWN = 12


def facts(info: Info) -> dict[str, Any]:
    """Return all of it as data, and what follows from it."""
    data = asdict(info)
    if info.run is not None:
        data["run"] |= {
            "outstanding": info.run.outstanding,
            "eta_s": eta_s(info),
            "done": not info.run.outstanding and not info.run.unpublished,
            "stuck": standing_still(info),
        }
    return {**data, "trouble": trouble(info), "publishing_for_s": publishing_for_s(info)}


def eta_s(info: Info) -> float | None:
    """Return the seconds until the run is built; None while a target's durations are unknown.

    Targets are built side by side, and the builders of a target share its jobs. What waits for its
    sdist isn't counted, and where there is nothing else, there is no estimate.
    """
    if info.run is None:
        return None
    at_once = {t: left for t, left in info.run.left.items() if left.jobs > left.waiting}
    if not at_once:
        return None
    longest = 0.0
    for target, left in at_once.items():
        able = [b for b in info.builders if b.target == target and b.state in ("building", "idle")]
        if left.expected_s is None or not able:
            return None
        elapsed = sum(b.running.for_s for b in able if b.running)
        shared = max(0.0, left.expected_s - elapsed) / min(len(able), left.jobs - left.waiting)
        longest = max(longest, shared)
    return longest


def builder_text(builder: Builder, now: datetime) -> str:
    """Return what a builder does, in words for people."""
    paused = ""
    if builder.paused_at:
        reason = one_line(builder.paused_reason, SHORT)
        paused = f"paused since {clock(builder.paused_at)} ({reason}); "
    return paused + _doing(builder, now)


def _doing(builder: Builder, now: datetime) -> str:
    queued = f"; {count(builder.queued, 'more job')} in its spool" if builder.queued else ""
    if builder.missing_since:
        since = builder.missing_since
        return (
            f"has not answered for {duration((now - since).total_seconds())}"
            f" (since {clock(since)}){queued}"
        )
    if builder.last_seen_at is None:
        return "has not been asked yet"
    running = builder.running
    if running:
        doing = (
            f"building {running.project} {running.version} for {duration(running.for_s)}{queued}"
        )
    else:
        # Queued, or finished and not collected yet.
        doing = f"between two builds{queued}" if builder.queued else "idle"
    if builder.refuses:
        refusal = f"takes no jobs: {one_line(builder.refuses)}"
        return f"{refusal}; {doing}" if running else refusal
    return doing


def rootfs_text(builder: Builder, now: datetime) -> str:
    """Return how old its rootfs is and what tells it from others, in words for people."""
    rootfs = builder.rootfs
    if rootfs is None:
        return "unknown"
    age = f"{count(max(0, (now - rootfs.made_at).days), 'day')} old, " if rootfs.made_at else ""
    return f"{age}{rootfs.digest[:DIGEST_SHOWN]}"


def _rootfs_trouble(builder: Builder, now: datetime) -> str | None:
    rootfs = builder.rootfs
    if rootfs is None:
        return None
    if rootfs.failed:
        return (
            f"{builder.name} couldn't make its rootfs anew: see journalctl -u"
            f" wheelyard-rootfs@{builder.target} on it"
        )
    if rootfs.made_at and now - rootfs.made_at > OLD_ROOTFS:
        return (
            f"The rootfs of {builder.name} is {(now - rootfs.made_at).days} days old, without the"
            " updates since: free some of its disk, or give a newer rootfs_tarball"
        )
    return None


def retry_text(waiting: Waiting) -> str:
    """Return when the next of these jobs is tried again, and why it wasn't built yet."""
    when = f"{waiting.retry_at.astimezone(UTC):%H:%M} UTC (try {waiting.tries})"
    which = "is tried again at" if waiting.jobs == 1 else "is the first to be tried again, at"
    return f"{waiting.project} {waiting.version} {which} {when}: {one_line(waiting.reason)}"


def waiting_lines(info: Info) -> list[str]:
    """Return one line: how many jobs wait for their sdists, and for how long; none if none do."""
    if not info.waiting:
        return []
    jobs = sum(waiting.jobs for waiting in info.waiting.values())
    first = min(info.waiting.values(), key=lambda waiting: waiting.retry_at)
    who = (
        "1 of these waits for its sdist" if jobs == 1 else f"{jobs} of these wait for their sdists"
    )
    return [f"{who}: {retry_text(replace(first, jobs=jobs))}"]


def stuck(info: Info) -> dict[str, str]:
    """Return, for each target whose jobs nobody is going to build, one line that says why."""
    lines = {}
    for target, left in sorted(info.run.left.items() if info.run else ()):
        builders = [b for b in info.builders if b.target == target]
        jobs = count(left.jobs, "job")
        if not builders:
            lines[target] = (
                f"{target}: {jobs} left, and no builder: add one to the inventory's group"
                f" {target} and run ansible-playbook site.yml -l {target}"
            )
        elif not any(_may_build(b, info) for b in builders):
            who = "; ".join(f"{b.name} {builder_text(b, info.now)}" for b in builders)
            lines[target] = f"{target}: {jobs} left, and no builder that takes them: {who}"
    return lines


def standing_still(info: Info) -> dict[str, str]:
    """Return the lines of stuck(), and one for each target whose jobs all wait for their sdists."""
    lines = {
        target: (
            f"{target}: {count(left.jobs, 'job')} left, waiting for"
            f" {'its sdist' if left.jobs == 1 else 'their sdists'}; the farm goes on by itself:"
            f" {retry_text(info.waiting[target])}"
        )
        for target, left in sorted(info.run.left.items() if info.run else ())
        if left.jobs == left.waiting
    }
    return lines | stuck(info)


def _may_build(builder: Builder, info: Info) -> bool:
    if builder.state == "missing" and builder.missing_since:
        return (info.now - builder.missing_since).total_seconds() < info.lost_after_s
    return builder.state not in ("paused", "refuses") or builder.running is not None


def trouble(info: Info) -> dict[str, str]:
    """Return what is wrong with the farm itself, one line each, by what it is wrong with.

    Keys are round, claims, sync, publish, collect, and rootfs with the name of its Pi.
    """
    lines = {}
    notes = info.notes
    ended = notes.get("last_round")
    late = ended and info.now - ended.updated_at > LONGEST_ROUND
    if ended and late and publishing_for_s(info) is None:
        lines["round"] = (
            f"The last round ended {_ago(info, ended)}: see journalctl -u wheelyard-round on the"
            " master"
        )
    paused = notes.get("claims_paused")
    if paused and paused.value:
        lines["claims"] = one_line(paused.value)
    for what, success in (("sync", "sync"), ("publish", "publish"), ("collect", "round")):
        error = notes.get(f"last_{what}_error")
        good = notes.get(f"last_{success}")
        if error and error.value and (good is None or error.updated_at >= good.updated_at):
            lines[what] = f"The last {what} failed {_ago(info, error)}: {one_line(error.value)}"
    for builder in info.builders:
        line = _rootfs_trouble(builder, info.now)
        if line:
            lines[f"rootfs of {builder.name}"] = line
    return lines


def publishing_for_s(info: Info) -> float | None:
    """Return for how long pages and wheels have waited to reach the site; None while none do."""
    began = info.notes.get("publish_began")
    ends = [info.notes.get(key) for key in ("last_publish", "last_publish_error")]
    if began is None or any(end and end.updated_at >= began.updated_at for end in ends):
        return None
    taken = info.now - began.updated_at
    return taken.total_seconds() if timedelta() <= taken < LONGEST_PUBLISH else None


def progress(info: Info) -> list[str]:
    """Return the run as it stands: what is left and for how long, then what each builder does."""
    run = info.run
    if run is None:
        return []
    elapsed = duration((info.now - run.since).total_seconds())
    if not run.outstanding:
        state = "all published"
        if run.unpublished:
            state = f"{count(run.unpublished, 'project')} to publish"
            on_its_way_s = publishing_for_s(info)
            if on_its_way_s is not None:
                state += f", on the way for {duration(on_its_way_s)}"
        return [f"{elapsed}: nothing left to build, {state}", *indent(trouble(info).values())]
    eta = eta_s(info)
    if sum(left.waiting for left in run.left.values()) == run.outstanding:
        estimate = "nothing to build now"
    elif eta is None:
        estimate = "no estimate yet"
    else:
        estimate = (
            f"about {duration(eta)} to go" if eta >= 1 else "longer than builds like these took"
        )
    parts = [f"{left.jobs} left for {target}" for target, left in sorted(run.left.items())]
    results = run.results.values()
    done = [f"{sum(r.built for r in results)} built", f"{sum(r.failed for r in results)} failed"]
    lines = [f"{elapsed}: {', '.join(parts + done)}; {estimate}"]
    concerned = [b for b in info.builders if b.target in run.left]
    wrong = [*stuck(info).values(), *trouble(info).values()]
    return lines + indent([*waiting_lines(info), *builder_lines(concerned, info.now), *wrong])


def builders(info: Info) -> list[str]:
    """Return what each builder does, and what is wrong with the farm itself."""
    return [*builder_lines(info.builders, info.now), *indent(trouble(info).values())]


def builder_lines(builders: Sequence[Builder], now: datetime) -> list[str]:
    """Return a line for each of a dozen, those with most to tell, and a count of the rest."""
    order = {"refuses": 0, "missing": 1, "paused": 2, "building": 3, "new": 4, "idle": 5}
    ranked = sorted(builders, key=lambda b: (order[b.state], b.name))
    shown = sorted(ranked[:BUILDERS_SHOWN], key=lambda b: (b.target, b.name))
    lines = table([(b.name, builder_text(b, now)) for b in shown]) if shown else []
    rest = ranked[BUILDERS_SHOWN:]
    if rest:
        states = sorted({b.state for b in rest}, key=lambda s: order[s])
        what = ", ".join(f"{sum(b.state == s for b in rest)} {s}" for s in states)
        lines.append(f"and {count(len(rest), 'more builder')}: {what}")
    return lines


def status(info: Info) -> list[str]:
    """Return the whole farm at one moment: queue, builders, and when things last happened."""
    head = ("target", "pending", "leased", "built", "failed", "skipped")
    rows = [
        (name, *map(str, (c.pending, c.leased, c.built, c.failed, c.skipped)))
        for name, c in sorted(info.targets.items())
    ]
    builders = [
        (b.name, b.target, rootfs_text(b, info.now), builder_text(b, info.now))
        for b in sorted(info.builders, key=lambda b: (b.target, b.name))
    ]
    happened = [(f"last {w}", _ago(info, info.notes.get(f"last_{w}"))) for w in HAPPENS]
    began = info.notes.get("sync_began")
    ends = [info.notes.get(key) for key in ("last_sync", "last_sync_error")]
    has_ended = began and any(end and end.updated_at >= began.updated_at for end in ends)
    if info.is_syncing and began and not has_ended:
        for_s = (info.now - began.updated_at).total_seconds()
        happened.append(("syncing", f"for {duration(for_s)}: {one_line(began.value, SHORT)}"))
    on_its_way_s = publishing_for_s(info)
    if on_its_way_s is not None:
        happened.append(("publishing", f"for {duration(on_its_way_s)}"))
    return [
        f"{info.site_url} at {clock(info.now)}",
        "",
        *table([head, *rows], right=range(1, 6)),
        *waiting_lines(info),
        "",
        *(
            table([("builder", "target", "rootfs", "state"), *builders])
            if builders
            else ["No builders: ansible-playbook site.yml adds those of the inventory"]
        ),
        "",
        *table(happened),
        *trouble(info).values(),
    ]


def ignored(info: Info) -> list[str]:
    """Return what of the index the farm can't use, by project."""
    if not info.ignored:
        return ["All that the index has of the farm's projects can be used."]
    lines = []
    for project in info.ignored:
        lines.append(f"{project.project}: {project.count} of its versions and files can't be used")
        lines += indent(one_line(line, SHORT) for line in project.lines)
        if project.count > len(project.lines):
            lines.append(f"  and {project.count - len(project.lines)} more")
    return lines


def _ago(info: Info, note: Note | None) -> str:
    if note is None:
        return "never"
    return f"{duration((info.now - note.updated_at).total_seconds())} ago"


def summary(info: Info) -> list[str]:
    """Return how a run ended: a table by target, why builds failed, which builders were away."""
    run = info.run
    if run is None:
        return []
    head = ("target", "built", "failed", "skipped", "wheels", "build time")
    rows = [
        (name, *map(str, (r.built, r.failed, r.skipped, r.wheels)), duration(r.duration_s))
        for name, r in sorted(run.results.items())
    ]
    lines = table([head, *rows], right=range(1, 6))
    if run.failures:
        shown = run.failures[:FAILURES_SHOWN]
        lines += ["", "Failed, with the log on the project's page:"]
        failed = [(f"{f.project} {f.version}", f.target, one_line(f.reason, SHORT)) for f in shown]
        lines += indent(table(failed))
        if len(run.failures) > len(shown):
            lines.append(f"  and {len(run.failures) - len(shown)} more")
    away = [b for b in info.builders if b.state in {"missing", "paused", "refuses"}]
    away = [b for b in away if b.target in run.results]
    if away:
        lines += ["", "Builders that take no jobs:", *indent(builder_lines(away, info.now))]
    elapsed = duration((info.now - run.since).total_seconds())
    if run.outstanding:
        end = f"After {elapsed}, {count(run.outstanding, 'job')} left to build."
    elif run.unpublished:
        end = f"After {elapsed}, {count(run.unpublished, 'project')} left to publish."
    else:
        end = f"Done and published in {elapsed}: {info.site_url}/simple/"
    return [*lines, "", end]
