"""Who runs a unit: the host's systemd, or an account's own. A unit of an account is named ACCOUNT/UNIT everywhere."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import cast

from agent.shapes import JsonObject
from agent.world import TIMED_OUT, CommandResult, World

ANSWER = 20.0  # seconds


def split(unit: str) -> tuple[str | None, str]:
    """Account (None: the host) and the unit's own name."""
    account, _, name = unit.rpartition("/")
    return account or None, name


def group_by_account(names: list[str]) -> dict[str | None, list[str]]:
    """Account → its units under their own names, the host's first, each in the order given."""
    groups: dict[str | None, list[str]] = {}
    for account, name in sorted(map(split, names), key=lambda pair: pair[0] or ""):
        groups.setdefault(account, []).append(name)
    return groups


def has_manager(world: World, account: str) -> bool:
    """Does an account's own manager run."""
    user = world.account(account)
    return user is not None and world.exists(f"/run/user/{user.uid}/systemd/private")


def systemctl(world: World, account: str | None, *words: str, timeout: float = 300.0) -> CommandResult:
    """Has a manager do something, for `timeout` seconds at most. That of an account that is not there, or does not
    linger, has no units."""
    if account is None:
        return world.run("systemctl", *words, timeout=timeout)
    user = world.account(account)
    if user is None:
        return CommandResult(1, "")
    place = f"/run/user/{user.uid}"
    return world.run(
        "runuser", "-u", account, "--", "env", f"XDG_RUNTIME_DIR={place}",
        f"DBUS_SESSION_BUS_ADDRESS=unix:path={place}/bus", "systemctl", "--user", *words, timeout=timeout,
    )  # fmt: skip


def ask(world: World, account: str | None, *words: str) -> CommandResult:
    """As `systemctl`, for what a manager answers at once: one that hangs holds up nothing for minutes."""
    return systemctl(world, account, *words, timeout=ANSWER)


def hangs(world: World, account: str) -> bool:
    """Does an account's own manager run without answering."""
    return has_manager(world, account) and ask(world, account, "show", "-p", "Version").code == TIMED_OUT


def manager_matches(world: World, unit: str) -> list[str]:
    """What journalctl shows of what a unit's manager says about it: any account can write what looks like it."""
    account, name = split(unit)
    user = world.account(account) if account else None
    return [f"USER_UNIT={name}", f"_UID={user.uid}"] if user else [f"UNIT={name}", "_PID=1"]


def announcements(world: World, message: str, within: float, timeout: float) -> list[tuple[str, str]]:
    """What managers said with a message's id in the last `within` seconds: for each time the number of the account that
    a unit is of ("" for the host's own) and the unit. Raises OSError where the journal cannot be read."""
    # The journal vouches for fields that begin with _; an account's manager can only speak of its own units, and what
    # an account writes, however much, pushes out nothing that the host's own said
    pairs = [
        ("", unit)
        for entry in _journal_entries(world, [message, "_PID=1"], within, timeout)
        if (unit := _unit_of_host(entry)) is not None
    ]
    for entry in _journal_entries(world, [message], within, timeout):
        account, unit = entry.get("_UID"), entry.get("USER_UNIT")
        if _unit_of_host(entry) is None and isinstance(account, str) and isinstance(unit, str):
            pairs.append((account, unit))
    return pairs


def _unit_of_host(entry: JsonObject) -> str | None:
    """The unit that the host's own manager speaks of; None in another one's entry."""
    unit = entry.get("UNIT")
    return unit if entry.get("_PID") == "1" and isinstance(unit, str) else None


def _journal_entries(world: World, matches: list[str], within: float, timeout: float) -> list[JsonObject]:
    journal_options = [
        f"MESSAGE_ID={matches[0]}",
        *matches[1:],
        "--since",
        f"-{within}s",
        "-o",
        "json",
        "--no-pager",
        "-q",
    ]
    ran = world.run("journalctl", *journal_options, "--output-fields=UNIT,USER_UNIT,_PID,_UID", timeout=timeout)
    if ran.code:
        raise OSError(f"journalctl: {ran.last_lines(1)}")
    entries: list[JsonObject] = []
    for line in ran.output.splitlines():
        # The first one may have lost its beginning
        with suppress(ValueError, RecursionError):
            entry: object = json.loads(line)
            entries += [cast("JsonObject", entry)] if isinstance(entry, dict) else []
    return entries


def journal_of(world: World, units: list[str]) -> list[str]:
    """What journalctl shows of the logs of units, all of one manager."""
    words: list[str] = []
    for unit in units:
        account, name = split(unit)
        user = world.account(account) if account else None
        words += [f"_SYSTEMD_USER_UNIT={name}", f"_UID={user.uid}", "+"] if user else ["-u", name]
    return words[:-1] if words and words[-1] == "+" else words


def journal(world: World, unit: str, lines: int) -> CommandResult:
    """The end of a unit's log."""
    return _end(world, journal_of(world, [unit]), lines)


def last_words(world: World, unit: str, lines: int, since: float) -> CommandResult:
    """The end of what a unit's own program said since a time (seconds since 1970): of its containers, which Docker logs
    for it, else of its processes. Only where these said nothing, what its manager says of it."""
    account, name = split(unit)
    processes = [f"_SYSTEMD_UNIT={name}"] if account is None else journal_of(world, [unit])
    for words in ([f"OBJECT_SYSTEMD_UNIT={name}", "_UID=0"] if account is None else [], processes):
        if words and (ran := _end(world, words, lines, since)).code == 0 and ran.output.strip():
            return ran
    return _end(world, manager_matches(world, unit), lines, since)


def _end(world: World, words: list[str], lines: int, since: float = 0.0) -> CommandResult:
    limit = [f"--since=@{int(since)}"] if since else []
    return world.run("journalctl", *words, "-n", str(lines), "-o", "cat", "--no-pager", "-q", *limit)


def control_groups(world: World, units: list[str]) -> dict[str, str]:
    """Unit → its control group, of those that have one now."""
    groups: dict[str, str] = {}
    for account, names in group_by_account(units).items():
        prefix = f"{account}/" if account else ""
        output = ask(world, account, "show", "-p", "Id", "-p", "ControlGroup", *names).output
        for entry in output.split("\n\n"):
            fields = dict(line.split("=", 1) for line in entry.splitlines() if "=" in line)
            if fields.get("ControlGroup"):
                groups[f"{prefix}{fields.get('Id', '')}"] = fields["ControlGroup"]
    return groups
