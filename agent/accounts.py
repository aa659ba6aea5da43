"""Accounts that services run as: made where they are missing, and never removed. One that exists already keeps what
it has: only lingering is turned on, and groups are added."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from agent.documents.manifest import Account
from agent.managers import ANSWER, hangs, has_manager
from agent.outcome import Failed, Refused
from agent.units import must
from agent.world import World

LINGER = "/var/lib/systemd/linger"
PATIENCE = 30.0


def agree(world: World, accounts: list[Account]) -> None:
    """Raises Refused for an account that is there with another home (the release's paths would be elsewhere), and for a
    group that is not there."""
    for account in accounts:
        for group in account["groups"]:
            if not world.has_group(group):
                raise Refused(
                    f"account {account['name']} must be in the group {group}, which does not exist on this host"
                )
        present = world.account(account["name"])
        if present and present.home != account["home"]:
            raise Refused(
                f"account {account['name']} has the home {present.home} on this host, not {account['home']}: "
                "correct the account's home in the catalogue"
            )


def answer(world: World, accounts: list[Account]) -> None:
    """Raises Refused for an account whose own manager runs and hangs: no unit of it could be stopped or started."""
    for name in [account["name"] for account in accounts if account["lingering"]]:
        if hangs(world, name):
            number = present.uid if (present := world.account(name)) else "UID"
            raise Refused(
                f"the user manager of account {name} (systemd --user) did not answer within {ANSWER:.0f} s: restart it "
                f"(systemctl restart user@{number}), and run again"
            )


def ensure(world: World, accounts: list[Account], numbers: Mapping[str, int] = MappingProxyType({})) -> None:
    """Makes what is missing, with the `numbers` that are given; a lingering account's own manager runs after this.
    Raises Failed."""
    for account in accounts:
        if world.account(account["name"]) is None:
            must(world, *_making(account, numbers.get(account["name"])))
        if account["groups"]:
            must(world, "usermod", "--append", "--groups", ",".join(account["groups"]), account["name"])
        if account["lingering"]:
            _linger(world, account["name"])


def changes(world: World, accounts: list[Account]) -> list[str]:
    """What `ensure` is going to change of them, and nothing takes back."""
    lines: list[str] = []
    for account in accounts:
        name = account["name"]
        if world.account(name) is None:
            lines.append(f"the account {name} was created")
            continue
        has = world.run("id", "-nG", name).output.split()
        lines += [f"{name} was added to the group {group}" for group in account["groups"] if group not in has]
        if account["lingering"] and not world.exists(f"{LINGER}/{name}"):
            lines.append(f"{name} lingers")
    return lines


def _making(account: Account, number: int | None) -> list[str]:
    if account["login"]:
        kind = ["--create-home", "--shell", "/bin/bash"]
    else:
        kind = ["--system", "--no-create-home", "--shell", "/usr/sbin/nologin"]
    own = ["--uid", str(number)] if number is not None else []
    return ["useradd", "--user-group", "--home-dir", account["home"], *kind, *own, account["name"]]


def _linger(world: World, name: str) -> None:
    if not world.exists(f"{LINGER}/{name}"):
        must(world, "loginctl", "enable-linger", name)
    await_manager(world, name)


def await_manager(world: World, name: str) -> None:
    """Waits until an account's own manager runs, as it does some time after boot. Raises Failed."""
    end = world.now() + PATIENCE
    while not has_manager(world, name):
        if world.now() > end:
            raise Failed(
                f"the user manager of account {name} did not start within {PATIENCE:.0f} s (systemctl status user@)"
            )
        world.sleep(0.2)
