"""Cron jobs as timers of the catalogue; what a timer cannot say stays a line that a person answers. Pure."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from catalogue.masking import MARK
from catalogue.shapes import ServiceFields
from infra.adopt.host import rivals
from infra.adopt.host.documents import Facts
from infra.adopt.host.remarks import Remark, secret, unfit, unsaid

VARIABLE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
WORDS = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}  # fmt: skip
DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
# Lines with an account between the time and the command
WITH_ACCOUNT = ("/etc/crontab", "/etc/cron.d/")
SCRIPT = re.compile(r"/etc/cron\.(hourly|daily|weekly|monthly)/")
# Of what a crontab says of its jobs, what may stand in a unit as it is
SHELL, ZONE = re.compile(r"/[A-Za-z0-9/_.-]+"), re.compile(r"[A-Za-z0-9/_+-]*")


@dataclass(frozen=True)
class _Crontab:
    """A crontab that is read: the account of its jobs ("" where each line names one), and the variables so far."""

    path: str
    account: str
    variables: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class _Job:
    """A line that a timer can say; `where` is its place."""

    where: str
    account: str
    command: str
    calendar: list[str]


def services(facts: Facts, taken_names: Collection[str], remarks: list[Remark]) -> list[ServiceFields]:
    """A timer for each job, under a name that no other service or unit has. It runs beside cron's until the line is
    taken out there: that is an open question of the service, and so is what a timer cannot say."""
    timers: list[ServiceFields] = []
    used = {*taken_names, *(unit["name"].rsplit(".", 1)[0].lower() for unit in facts["units"])}
    for path, text in facts.get("crontabs", {}).items():
        if script := SCRIPT.match(path):
            remarks.append(unsaid(path, f"cron runs it {script[1]}: write a timer, or keep it and delete this line"))
            continue
        account = "" if path.startswith(WITH_ACCOUNT) else path.rsplit("/", 1)[-1]
        crontab = _Crontab(path, account)
        for number, line in enumerate(text.splitlines(), 1):
            if variable := VARIABLE.fullmatch(line):
                crontab.variables[variable[1]] = variable[2].strip().strip("\"'")
            elif (
                line.strip()
                and not line.lstrip().startswith("#")
                and "run-parts" not in line
                and (job := _job(crontab, f"{path}:{number}", line.strip(), remarks))
            ):
                name = _unique(_name(job.command, job.account), used)
                timers.append(_timer(name, job, crontab, facts, remarks))
    return timers


def _unique(name: str, used: set[str]) -> str:
    """The name, with a number where it is used already; from then on it is."""
    names = (name, *(f"{name}-{number}" for number in range(2, len(used) + 3)))
    free = next(other for other in names if other not in used)
    used.add(free)
    return free


def _job(crontab: _Crontab, where: str, line: str, remarks: list[Remark]) -> _Job | None:
    count = 1 if line.startswith("@") else 5
    words = line.split(None, count + (0 if crontab.account else 1))
    when, command = " ".join(words[:count]), words[-1]
    account = crontab.account or (words[count] if len(words) > count + 1 else "")
    zone = crontab.variables.get("CRON_TZ", "")
    calendar = calendar_of(when, zone) if ZONE.fullmatch(zone) else []
    if len(line) > rivals.LONGEST:
        begin = line[: rivals.LENGTH]
        fault = f"the cron job {begin!r} … is too long to be read as a timer: write one, or keep it there"
    elif not account or len(words) < count + 1 + (not crontab.account) or not calendar:
        fault = f"the cron job {line!r} cannot be read as a timer: write one, or keep it there"
    elif why := rivals.reason(command):
        fault = f"the cron job {line!r} {why}, and would fight a release: take it out"
    elif MARK in line or re.search(r"(?<!\\)%", command):
        fault = f"the cron job {line!r} has input or what may be a secret: write a timer for it"
    elif not SHELL.fullmatch(shell := crontab.variables.get("SHELL", "/bin/sh")):
        fault = f"the cron job {line!r} runs by SHELL={shell}, which is no path of a program: write a timer for it"
    else:
        return _Job(where, account, command.replace("\\%", "%"), calendar)
    remarks.append(unsaid(where, fault))
    return None


def _timer(name: str, job: _Job, crontab: _Crontab, facts: Facts, remarks: list[Remark]) -> ServiceFields:
    quoted = job.command.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    home = next((entry["home"] for entry in facts["accounts"] if entry["name"] == job.account), "/")
    main: dict[str, str] = {"ExecStart": f'{crontab.variables.get("SHELL", "/bin/sh")} -c "{quoted}"'}
    main |= {"WorkingDirectory": home} | ({"User": job.account} if job.account != "root" else {})
    own = {key: value for key, value in crontab.variables.items() if key not in ("SHELL", "MAILTO", "CRON_TZ")}
    secrets = [key for key, value in own.items() if MARK in value]
    environment = {"HOME": home, **own}
    remarks.append(
        unsaid(name, f"cron runs it now ({job.where}): take that line out when this is released, or both run")
    )
    remarks += [secret(name, variable) for variable in secrets]
    if crontab.variables.get("MAILTO"):
        remarks.append(unfit(name, "its output goes by mail (MAILTO): the journal has it from then on"))
    return {
        "name": name, "kind": "timer", "purpose": f"Runs {job.command.split()[0].rsplit('/', 1)[-1]} by the clock",
        "unit": f"{name}.timer", "secrets": secrets, "environment_file": f"/etc/{name}.env" if secrets else None,
        "environment": {key: value for key, value in environment.items() if key not in secrets},
        "directives": {
            "Timer": {"OnCalendar": job.calendar if len(job.calendar) > 1 else job.calendar[0]},
            "Install": {"WantedBy": "timers.target"},
        },
        "job": {"Service": main},
    }  # fmt: skip


def _name(command: str, account: str) -> str:
    """By the script or program, without what is before it."""
    words = [word for word in command.split() if re.fullmatch(r"[\w./-]*[A-Za-z][\w.-]*", word)]
    scripts = [word for word in words if word.endswith((".sh", ".py", ".rb", ".pl", ".js", ".php"))]
    program = (scripts or [word for word in words if word not in ("cd", "sh", "bash", "env")] or [account])[0]
    stem = re.sub(r"[^a-z0-9_-]+", "-", program.rsplit("/", 1)[-1].rsplit(".", 1)[0].lower()).strip("-_")
    return f"cron-{stem or 'job'}"


def calendar_of(when: str, zone: str = "") -> list[str]:
    """The times of a cron job as systemd writes them: two, where cron means this day of the month or that of the week.
    None at all for what no timer can say."""
    parts = WORDS.get(when, when).split()
    if len(parts) != len(BOUNDS):
        return []
    try:
        minutes, hours, dates, months, days = (
            _values(part.lower(), *bounds) for part, bounds in zip(parts, BOUNDS, strict=True)
        )
    except ValueError:
        return []
    weekdays = ",".join(DAYS[day] for day in sorted({day % 7 for day in days})) if days else ""
    clock = f"{_list(hours)}:{_list(minutes)}:00{f' {zone}' if zone else ''}"
    on_dates = f"*-{_list(months)}-{_list(dates)} {clock}"
    if not days:
        return [on_dates]
    on_days = f"{weekdays} *-{_list(months)}-* {clock}"
    return [on_dates, on_days] if dates and not parts[2].startswith("*") and not parts[4].startswith("*") else [
        f"{weekdays} *-{_list(months)}-{_list(dates)} {clock}"
    ]  # fmt: skip


def _list(values: list[int]) -> str:
    return ",".join(f"{value:02}" for value in values) or "*"


def _values(part: str, low: int, high: int) -> list[int]:
    """Those of one field; none for all. Raises ValueError."""
    if part == "*":
        return []
    values: set[int] = set()
    for item in part.split(","):
        span, _, step = item.partition("/")
        first, _, last = ("*", "", "") if span == "*" else span.partition("-")
        begin = low if first == "*" else _number(first, low)
        until = high if first == "*" or (step and not last) else _number(last or first, low)
        if not low <= begin <= until <= high:
            raise ValueError(part)
        values |= set(range(begin, until + 1, int(step or "1") or high + 1))
    return sorted(values)


def _number(text: str, low: int) -> int:
    if text in MONTHS and low == 1:
        return MONTHS.index(text) + 1
    days = [day.lower() for day in DAYS]
    return days.index(text) if text in days and low == 0 else int(text)
