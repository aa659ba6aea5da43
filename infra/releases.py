"""What hosts report of their releases, made readable. Pure: the agent's answers in, tables and lines out."""

import re
from collections.abc import Sequence
from datetime import UTC

from rich.table import Table
from rich.text import Text

from agent import derived, times
from agent.documents.answers import BootTimes, Drift, Releases, SiteMaintenance, Status
from catalogue.alert_names import current_alert

SHORT = 12
FOLLOWED = derived.KIND  # what brought a release that the host took by itself


def history(host: str, answer: Releases) -> Table:
    """The jobs of a host, the latest last, and which of their releases can be gone back to; and who got to which of its
    services (exec, shell, forward, host)."""
    table = Table("release", "when", "by", "what", "changed", "outcome", title=f"{host}", title_justify="left")
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
            summarise_paths(paths),
            job["outcome"] if job["code"] == 0 else f"{job['outcome']}: {job['line'].split(': ', 1)[-1]}",
        ]
        rows.append((began, cells))
    for entry in answer.get("reached", []):
        began = times.show(entry["at"], UTC, "%Y-%m-%dT%H:%M:%SZ")
        what = " ".join(filter(None, (entry["service"], entry["program"]))) or "the host itself"
        how = "shell" if entry["how"] == "host" else entry["how"]
        rows.append((began, ["-", times.show(entry["at"], form=times.SECONDS), entry["who"], how, what, "-"]))
    for _, cells in sorted(rows, key=lambda row: row[0]):
        # Brackets of a host's text are no markup
        table.add_row(*(Text(cell) for cell in cells))
    return table


def damage(host: str, answer: Releases) -> list[str]:
    """What of a host's releases and of its history cannot be read."""
    releases, jobs = answer.get("damaged", []), answer.get("damaged_jobs", [])
    lines = [
        f"{host}: kept release {id[:SHORT]} cannot be read: rolling back to it is not possible, and no image is "
        "removed while it is kept"
        for id in releases
    ]
    return lines + ([f"{host}: {len(jobs)} damaged entries in its history: {', '.join(jobs[:3])}"] if jobs else [])


def summarise_paths(paths: Sequence[str]) -> str:
    if not paths:
        return "-"
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def build(labels: dict[str, str]) -> str:
    """What an image's labels say: of a commit as much as people write, of a time its day and minute here."""
    commit, version, created = (labels.get(key, "") for key in ("commit", "version", "created"))
    commit = commit[:SHORT] if re.fullmatch(r"[0-9a-f]{40,64}", commit) else commit
    return ", ".join(filter(None, (version, f"commit {commit}" if commit else "", times.show_text(created))))


def state(stack: str, host: str, answer: Status, of_stack: str | None) -> tuple[list[str], bool]:
    """Lines about a host, and whether all is in order. `of_stack` is the release that the stack brought last."""
    serving, delivery = answer["release"], answer["brought"]
    if serving is None:
        return [f"{host}: no release yet"], False
    began, who = (delivery.get("began", "?"), delivery.get("who", "?")) if delivery else ("?", "?")
    lines = [f"{host}: serves {serving[:SHORT]}, deployed {times.show_text(began)} by {who}"]
    orderly = True
    if of_stack and of_stack != serving and delivery and delivery["kind"] == FOLLOWED:
        lines.append(
            f"  ahead of the stack, which has {of_stack[:SHORT]}: it follows a tag, and pulumi up takes that in"
        )
    elif of_stack and of_stack != serving:
        ahead = (
            f"  ahead of the stack, which has {of_stack[:SHORT]}: an update deployed it here and failed elsewhere; fix "
            "that and run pulumi up"
        )
        behind = (
            f"  behind the stack, which has {of_stack[:SHORT]}: fix why it is not served here and run pulumi up, or "
            f"return to it with: infra rollback --stack {stack} --host {host} {of_stack[:SHORT]}"
        )
        lines.append(ahead if delivery and delivery.get("kind") == "apply" else behind)
        orderly = False
    # While a job is at work that is its own doing
    if answer["unfinished"] and not answer["holder"]:
        lines.append(
            f"  interrupted: release {answer['unfinished']['release'][:SHORT]} is neither committed nor rolled back"
        )
        orderly = False
    if answer["holder"]:
        lines.append(f"  running: {times.in_text(answer['holder'])}")
    unhealthy = [f"{name} ({status or 'no answer'})" for name, status in answer["services"].items() if status != 200]
    stopped = [name for name, active in answer["units"].items() if not active]
    lines.append(f"  services: {len(answer['services']) - len(unhealthy)} of {len(answer['services'])} healthy")
    if unhealthy:
        lines.append(f"  unhealthy: {', '.join(unhealthy)}")
    if resting := answer.get("resting"):
        lines.append(
            f"  waiting until their name points here; by what this host resolves it does not yet: {', '.join(resting)}"
        )
    for system, there in sorted(answer.get("away", {}).items()):
        lines.append(f"  stopped, since the data is on {there}: {system}")
    lines += [f"  {service} follows tag {tag}" for service, tag in sorted(answer.get("follows", {}).items())]
    lines += [f"  {site} {until(details)}" for site, details in sorted(answer.get("maintenance", {}).items())]
    lines += [f"  build of {name}: {build(details)}" for name, details in sorted(answer.get("builds", {}).items())]
    if stopped:
        lines.append(f"  not running: {', '.join(stopped)}")
    lines += [
        f"  certificate of {name}: {wrong or f'{days} days left'}" for name, days, wrong in answer["certificates"]
    ]
    lines += [f"  alert {current_alert(alert['alert'])}: {times.in_text(alert['text'])}" for alert in answer["alerts"]]
    if (drifted := answer.get("drifted")) and not answer["holder"]:
        lines.append(f"  changed by hand: {summarise_paths(drifted)} (infra drift --stack {stack} shows it)")
    for repair in answer.get("repairs", []):
        done = f"{'repaired' if repair['worked'] else 'could not repair'} {current_alert(repair['alert'])}"
        did = {"make room": "freed memory", "bring back": "had memory again"}.get(repair["repair"], done)
        lines.append(f"  {did} at {times.show(repair['at'])}: {repair['said']}")
    last = answer["last_job"]
    if last and last["code"]:
        began = last.get("began", "")
        when = f" ({times.show_text(began, form=times.SECONDS)})" if began else ""
        lines.append(f"  the last job failed{when}: {last['line']}")
    return lines, orderly and not unhealthy and not stopped and not answer["alerts"]


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
