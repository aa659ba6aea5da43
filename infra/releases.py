"""What hosts report of their releases, made readable. Pure: the agent's answers in, tables and lines out."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC

from rich.table import Table
from rich.text import Text

from agent import tag_releases, times
from agent.documents.answers import BootTimes, Drift, GroupState, Releases, SiteMaintenance, Status
from agent.documents.jobs import HistoryEntry
from catalogue.alert_names import current_alert

SHORT = 12
FOLLOWED = tag_releases.KIND  # what brought a release that the host took by itself


def history(host: str, answer: Releases) -> Table:
    """The jobs of a host, the latest last, and which of their releases can be gone back to; and who got to which of its
    services (exec, shell, forward, host)."""
    table = Table(
        "release", "when", "by", "what", "changed", "builds", "outcome", title=f"{host}", title_justify="left"
    )
    rows: list[tuple[str, list[str]]] = []
    for job in answer["history"]:
        marks = [
            "serves" if job["release"] == answer["current"] else "",
            "kept" if job["release"] in answer["kept"] and job["release"] != answer["current"] else "",
        ]
        began = job.get("began", "")
        paths = job.get("restarted", []) if job["kind"] == "restart" else job.get("changed", [])
        cells = [
            f"{job['release'][:SHORT]} {''.join(marks)}".strip(),
            times.show_text(began, form=times.SECONDS),
            job["who"],
            job["kind"],
            summarise(paths),
            new_builds(job, answer),
            job["outcome"] if job["code"] == 0 else f"{job['outcome']}: {job['line'].split(': ', 1)[-1]}",
        ]
        rows.append((began, cells))
    for entry in answer.get("reached", []):
        began = times.show(entry["at"], UTC, "%Y-%m-%dT%H:%M:%SZ")
        what = " ".join(filter(None, (entry["service"], entry["program"]))) or "the host itself"
        how = "shell" if entry["how"] == "host" else entry["how"]
        rows.append((began, ["-", times.show(entry["at"], form=times.SECONDS), entry["who"], how, what, "-", "-"]))
    for _, cells in sorted(rows, key=lambda row: row[0]):
        # Brackets of a host's text are no markup
        table.add_row(*(Text(cell) for cell in cells))
    return table


def new_builds(job: HistoryEntry, answer: Releases) -> str:
    """What the labels of the images say that a job brought, by service; `-` where the host no longer keeps its release
    or the one before, or the images say nothing."""
    services, base = answer.get("services", {}), job.get("base") or ""
    builds = answer.get("builds", {}).get(job["release"], {})
    if job["release"] not in services or base not in services:
        return "-"
    before, after = services[base], services[job["release"]]
    texts = [f"{name} {build(builds[name])}" for name in builds if after.get(name) != before.get(name)]
    return summarise(texts, 2)


def damage(host: str, answer: Releases) -> list[str]:
    """What of a host's releases and of its history cannot be read."""
    releases, jobs = answer.get("damaged", []), answer.get("damaged_jobs", [])
    lines = [
        f"{host}: kept release {id[:SHORT]} cannot be read: rolling back to it is not possible, and no image is "
        "removed while it is kept"
        for id in releases
    ]
    return lines + ([f"{host}: {len(jobs)} damaged entries in its history: {', '.join(jobs[:3])}"] if jobs else [])


def summarise(texts: Sequence[str], most: int = 1) -> str:
    """The first ones, and how many more there are."""
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return "; ".join(texts[:most]) + more if texts else "-"


def short_commit(commit: str) -> str:
    """As much of a commit's hash as people write; any other text as it stands."""
    return commit[:SHORT] if re.fullmatch(r"[0-9a-f]{40,64}", commit) else commit


def build(labels: dict[str, str]) -> str:
    """What an image's labels say: of a commit as much as people write, of a time its day and minute here."""
    commit, version, created = (labels.get(key, "") for key in ("commit", "version", "created"))
    commit = short_commit(commit)
    return ", ".join(filter(None, (version, f"commit {commit}" if commit else "", times.show_text(created))))


def state(stack: str, host: str, answer: Status, of_stack: str | None) -> tuple[list[str], bool]:
    """Lines about a host, and whether all is in order. `of_stack` is the release that the stack brought last."""
    if answer["release"] is None:
        return [f"{host}: no release yet"], False
    delivery, holder = answer["brought"], answer["holder"]
    began, who = (delivery.get("began", "?"), delivery.get("who", "?")) if delivery else ("?", "?")
    differences, is_expected = _differences_from_stack(stack, host, answer, of_stack)
    unhealthy = [f"{name} ({status or 'no answer'})" for name, status in answer["services"].items() if status != 200]
    stopped = [name for name, active in answer["units"].items() if not active]
    # While a job runs that is its own doing
    interrupted = None if holder else answer["unfinished"]
    lines = [f"{host}: serves {answer['release'][:SHORT]}, deployed {times.show_text(began)} by {who}", *differences]
    if interrupted:
        lines.append(f"  interrupted: release {interrupted['release'][:SHORT]} is neither committed nor rolled back")
    if holder:
        lines.append(f"  running: {times.in_text(holder)}")
    lines.append(f"  services: {len(answer['services']) - len(unhealthy)} of {len(answer['services'])} healthy")
    if unhealthy:
        lines.append(f"  unhealthy: {', '.join(unhealthy)}")
    lines += _conditions_of_services(answer)
    of_group, is_group_whole = group_lines(answer.get("group"))
    lines += of_group
    if stopped:
        lines.append(f"  not running: {', '.join(stopped)}")
    lines += _alerts_and_changes(stack, answer)
    is_healthy = not (interrupted or unhealthy or stopped or answer["alerts"])
    return lines, is_expected and is_healthy and is_group_whole


def group_lines(group: GroupState | None) -> tuple[list[str], bool]:
    """Where each spread service runs and which hosts of the group are away, and whether all is as it is to be."""
    if group is None:
        return [], True
    if group["error"]:
        return [f"  group: {group['error']}"], False
    lacking = {name: one for name, one in group["services"].items() if len(one["hosts"]) < one["replicas"]}
    away = {host: state for host, state in group["hosts"].items() if state != "ready"}
    lines = [
        f"  spread: {name}, {len(one['hosts'])} of {one['replicas']} healthy ({', '.join(one['hosts']) or 'nowhere'})"
        for name, one in sorted(group["services"].items())
    ]
    lines += [f"  group: {host} is {state}" for host, state in sorted(away.items())]
    return lines, not (lacking or away)


def _differences_from_stack(stack: str, host: str, answer: Status, of_stack: str | None) -> tuple[list[str], bool]:
    """A line where the host serves another release than the stack brought last, and whether it may."""
    delivery = answer["brought"]
    if not of_stack or of_stack == answer["release"]:
        return [], True
    ahead = f"  ahead of the stack, which has {of_stack[:SHORT]}:"
    if delivery and delivery["kind"] == FOLLOWED:
        return [f"{ahead} it follows a tag, and pulumi up takes that in"], True
    if delivery and delivery.get("kind") == "apply":
        return [f"{ahead} an update deployed it here and failed elsewhere; fix that and run pulumi up"], False
    return [
        f"  behind the stack, which has {of_stack[:SHORT]}: fix why it is not served here and run pulumi up, or return "
        f"to it with: infra rollback --stack {stack} --host {host} {of_stack[:SHORT]}"
    ], False


def _conditions_of_services(answer: Status) -> Iterator[str]:
    """What is as it is on purpose: waiting, stopped elsewhere, a tag that is followed, maintenance, builds."""
    if resting := answer.get("resting"):
        names = ", ".join(resting)
        yield f"  waiting until their name points here; by what this host resolves it does not yet: {names}"
    for system, there in sorted(answer.get("away", {}).items()):
        yield f"  stopped, since the data is on {there}: {system}"
    for service, tag in sorted(answer.get("follows", {}).items()):
        yield f"  {service} follows tag {tag}"
    for site, details in sorted(answer.get("maintenance", {}).items()):
        yield f"  {site} {until(details)}"
    for name, details in sorted(answer.get("builds", {}).items()):
        yield f"  build of {name}: {build(details)}"


def _alerts_and_changes(stack: str, answer: Status) -> Iterator[str]:
    """Certificates, alerts, changes by hand, repairs, and how the last job ended where it failed."""
    for name, days, wrong in answer["certificates"]:
        yield f"  certificate of {name}: {wrong or f'{days} days left'}"
    for alert in answer["alerts"]:
        yield f"  alert {current_alert(alert['alert'])}: {times.in_text(alert['text'])}"
    if (drifted := answer.get("drifted")) and not answer["holder"]:
        yield f"  changed by hand: {summarise(drifted)} (infra drift --stack {stack} shows it)"
    for repair in answer.get("repairs", []):
        outcome = f"{'repaired' if repair['worked'] else 'could not repair'} {current_alert(repair['alert'])}"
        did = {"make room": "freed memory", "bring back": "had memory again"}.get(repair["repair"], outcome)
        yield f"  {did} at {times.show(repair['at'])}: {repair['said']}"
    last = answer["last_job"]
    if last and last["code"]:
        began = last.get("began", "")
        when = f" ({times.show_text(began, form=times.SECONDS)})" if began else ""
        yield f"  the last job failed{when}: {last['line']}"


def boot_times(host: str, answer: BootTimes) -> tuple[list[str], bool]:
    """Lines about a host's milestones, and whether all were reached in time."""
    lines: list[str] = []
    fine = True
    for entry in answer["milestones"]:
        reached, limit = entry["seconds"], entry["within"]
        late = reached is None or reached >= limit
        boot_time = "not reached yet" if reached is None else f"{reached} s"
        lines.append(
            f"{host}: {entry['name']}: {boot_time} ({'too late, ' if late else ''}target < {limit} s, {entry['unit']})"
        )
        fine = fine and not late
    return lines or [f"{host}: no milestones"], fine


def drift(host: str, answer: Drift) -> str:
    """What differs, each with its unified diff where it is a file's content; and which sites are in maintenance. No
    line of a diff begins as one of another host's would."""
    away = [f"{host}: {site} {until(window)}" for site, window in sorted(answer.get("maintenance", {}).items())]
    if not answer["drift"]:
        return "\n".join([f"{host}: unchanged since release {(answer['release'] or 'none')[:SHORT]}", *away])
    parts: list[str] = []
    for item in answer["drift"]:
        diff = item.get("diff", "").rstrip()
        parts += [f"{host}: {item['path']} {item['found']}", *(f"  {line}" for line in diff.split("\n") if diff)]
    return "\n".join([*parts, *away])


def until(window: SiteMaintenance) -> str:
    """`is in maintenance until 2026-11-30 02:00 JST, since … by …`."""
    ends, began = times.show(window["until"]), times.show(window["since"])
    return f"is in maintenance until {ends}, since {began} by {window['who']}: 503 for all but infra:statusCidrs"
