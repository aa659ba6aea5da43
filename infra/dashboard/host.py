"""A host on the dashboard: what it serves, what is wrong, its services, sites, backups and releases. Pure."""

from collections.abc import Iterator

from agent import times
from agent.documents.answers import BackupState, Status
from agent.documents.jobs import HistoryEntry
from agent.monitor import markup
from agent.monitor.markup import Markup
from catalogue.alert_names import current_alert
from infra import releases
from infra.dashboard import month
from infra.dashboard.readers import COMMA, NONE, Reader
from infra.status import HostStatus

# Heads of the tables
SERVICES = ("service", "now", "24 hours", "build")
SPREAD = ("service", "healthy", "hosts")
SITES = ("site", "certificate", "maintenance")
BACKUPS = ("service", "last backup", "size", "last failure", "last drill")
RELEASES = ("when", "by", "what", "release", "changed", "outcome")
EXPIRES_SOON = 14  # days
MiB = 1024**2


def parts(host: HostStatus, reader: Reader) -> Iterator[str]:
    """What stands below the host's heading."""
    say = reader.say
    if host.answer is None:
        yield f"<p>{markup.state(say.of(host.error), False)}</p>"
        return
    yield from _release(host.answer, reader)
    remarks = list(_remarks(host, host.answer, reader))
    if remarks:
        yield f"<ul>{''.join(f'<li>{markup.cell(line)}</li>' for line in remarks)}</ul>"
    yield from _alerts(host.answer, reader)
    overview = host.overview
    days = overview["days"] if overview else {}
    builds = host.answer.get("builds", {})
    services = [
        (
            name,
            markup.service_state(status, say),
            markup.day(days[name], say) if name in days else NONE,
            build(builds.get(name, {}), reader) or NONE,
        )
        for name, status in host.answer["services"].items()
    ]
    yield reader.table("Services", SERVICES, services)
    yield reader.table("Spread services", SPREAD, list(_spread(host.answer)))
    yield reader.table("Sites", SITES, list(_sites(host.answer, reader)))
    if overview is None:
        why = say("Without its last month, backups and releases: {why}", why=say.of(host.overview_error))
        yield f'<p class="quiet">{markup.cell(why)}</p>'
        return
    yield from month.parts(overview, reader)
    yield reader.table("Backups", BACKUPS, [_backup(entry, reader) for entry in overview["backups"]])
    yield reader.table("Releases", RELEASES, [_job(entry, reader) for entry in overview["jobs"]])


def _release(answer: Status, reader: Reader) -> Iterator[str]:
    delivery = answer["brought"]
    if answer["release"] is None:
        yield f"<p>{markup.state(reader.say('no release yet'), False)}</p>"
        return
    line = markup.fill(
        reader.say,
        "Serves release {release}, deployed {at} by {who} ({kind})",
        release=answer["release"][: releases.SHORT],
        at=reader.time(delivery.get("began", "?")) if delivery else "?",
        who=delivery.get("who", "?") if delivery else "?",
        kind=reader.say.word(delivery.get("kind") or "?") if delivery else "?",
    )
    yield f"<p>{line}</p>"


def _remarks(host: HostStatus, answer: Status, reader: Reader) -> Iterator[str]:
    """What is unusual, on purpose or not, a line each."""
    say = reader.say
    holder, unfinished, of_stack = answer["holder"], answer["unfinished"], host.target[: releases.SHORT]
    if of_stack and host.target != answer["release"]:
        line, delivery = say("the stack has another release: {release}", release=of_stack), answer["brought"]
        # One that the host took by itself is ahead on purpose
        is_followed = delivery is not None and delivery.get("kind") == releases.FOLLOWED
        yield line if is_followed else markup.state(line, False)
    if holder:
        yield say("running: {what}", what=times.in_text(holder, reader.zone))
    elif unfinished:
        release = unfinished["release"][: releases.SHORT]
        yield markup.state(
            say("interrupted: release {release} is neither committed nor rolled back", release=release), False
        )
    if stopped := [name for name, active in answer["units"].items() if not active]:
        yield markup.state(say("not running: {units}", units=", ".join(stopped)), False)
    if resting := answer.get("resting"):
        yield say("waiting until their name points here: {units}", units=", ".join(resting))
    for system, there in sorted(answer.get("away", {}).items()):
        yield say("{system} is stopped, since its data is on {host}", system=system, host=there)
    for service, tag in sorted(answer.get("follows", {}).items()):
        yield say("{service} follows tag {tag}", service=service, tag=tag)
    for service, images in host.deployed.items():
        digests = ", ".join(digest[:19] for digest in images.values())
        yield say("{service} is pinned to {digests} (infra deploy)", service=service, digests=digests)
    if (drifted := answer.get("drifted")) and not holder:
        yield say("changed by hand: {paths}", paths=summarise(drifted, reader))
    for machine in host.kept_machines:
        yield say("keeps {machine}: infra host retire {host} deletes it", machine=machine, host=host.host)
    if host.under_way:
        yield say.of(host.under_way)


def summarise(paths: list[str], reader: Reader) -> str:
    """The first path, and how many more there are."""
    if len(paths) < 2:
        return paths[0] if paths else NONE
    return reader.say("{path} and {count} more", path=paths[0], count=len(paths) - 1)


def _spread(answer: Status) -> Iterator[tuple[str, str, str]]:
    """What the group that the host leads runs together, and where."""
    group = answer.get("group")
    for name, copies in sorted(group["services"].items()) if group else []:
        count = f"{len(copies['hosts'])} / {copies['replicas']}"
        yield name, markup.state(count, len(copies["hosts"]) >= copies["replicas"]), ", ".join(copies["hosts"]) or NONE


def _alerts(answer: Status, reader: Reader) -> Iterator[str]:
    if answer["alerts"]:
        yield f"<h4>{markup.cell(reader.say('Active alerts'))}</h4><ul>"
        for alert in answer["alerts"]:
            text = times.in_text(alert["text"], reader.zone)
            yield f"<li>{markup.state(current_alert(alert['alert']), False)}: {markup.cell(text)}</li>"
        yield "</ul>"


def build(labels: dict[str, str], reader: Reader) -> str:
    """What the labels of a service's image say of its build: version, commit, when."""
    version, commit = labels.get("version", ""), releases.short_commit(labels.get("commit", ""))
    created = labels.get("created", "")
    texts = [version, reader.say("commit {commit}", commit=commit) if commit else ""]
    parts = [markup.cell(text) for text in texts if text]
    parts += [reader.time(created)] if created else []
    return Markup(reader.say.word(COMMA).join(parts))


def _sites(answer: Status, reader: Reader) -> Iterator[tuple[str, ...]]:
    say, windows = reader.say, answer.get("maintenance", {})
    for name, days, wrong in answer["certificates"]:
        days_left = say("{days} days left", days=days)
        is_good = not wrong and isinstance(days, (int, float)) and days >= EXPIRES_SOON
        window = windows.get(str(name))
        until = (
            markup.fill(say, "until {at}, by {who}", at=reader.time(window["until"]), who=window["who"])
            if window
            else ""
        )
        yield str(name), markup.state(str(wrong or "") or days_left, is_good), until or NONE


def _backup(entry: BackupState, reader: Reader) -> tuple[str, ...]:
    say, good, failed, drill = reader.say, entry.get("good"), entry.get("failed"), entry.get("drill")
    last = markup.state(reader.ago(good["at"]) if good else say("none"), bool(good))
    size = f"{good['bytes'] / MiB:,.1f} MiB" if good else NONE
    failure = NONE
    if failed:
        why = times.in_text(failed["why"], reader.zone)
        failure = markup.state(say("{when}: {why}", when=reader.ago(failed["at"]), why=why), False)
    drilled = NONE
    if drill:
        why = drill.get("why") or ""
        drilled = say("{when}: {why}", when=reader.ago(drill["at"]), why=why) if why else reader.ago(drill["at"])
        drilled = markup.state(drilled, not why)
    return entry["service"], last, size, failure, drilled


def _job(job: HistoryEntry, reader: Reader) -> tuple[str, ...]:
    outcome = reader.say.word(job["outcome"])
    if job["code"]:
        line = times.in_text(job["line"].split(": ", 1)[-1], reader.zone)
        outcome = markup.state(reader.say("{outcome}: {line}", outcome=outcome, line=line), False)
    paths = job.get("restarted", []) if job["kind"] == "restart" else job.get("changed", [])
    return (
        reader.time(job.get("began", "?")),
        job["who"],
        reader.say.word(job["kind"]),
        job["release"][: releases.SHORT],
        summarise(paths, reader),
        outcome,
    )
