"""How a host of any kind is reached, and the gate that waits until it can take a release."""

import json
from typing import Any

import pulumi
import pulumi_command as command

from catalogue.stack import Stack
from components.naming import inside
from rendering.user_data import PREPARE


class Reachable(pulumi.ComponentResource):
    """What a release needs of a host. `machine` changes with the machine: a new one starts empty."""

    address: pulumi.Output[str]
    machine: pulumi.Output[str]
    target: pulumi.Output[dict[str, Any]]
    ready: command.local.Command


def target(stack: Stack, host: str, address: pulumi.Output[str]) -> pulumi.Output[dict[str, Any]]:
    """The fields of `infra.ssh.Target`."""
    login = stack.login(host)
    return address.apply(
        lambda resolved: {
            "host": host, "address": resolved, "port": login.port, "user": login.user,
            "host_key": login.host_key, "private_key": stack.sshPrivateKey,
        }
    )  # fmt: skip


def ready(
    parent: pulumi.Resource,
    name: str,
    stack: Stack,
    host: str,
    address: pulumi.Output[str],
    machine: pulumi.Input[str],
    needs: list[str],
    swap_mib: int = 0,
    first: str = "",
    after: list[pulumi.Resource] | None = None,
    is_kept: bool = False,
) -> command.local.Command:
    """Waits until the host answers SSH with its own key, runs `first`, and prepares it. The script comes along and is
    safe to repeat: what failed at the first boot is reported now, and can be fixed. One that `is_kept` is prepared for
    nothing more."""
    script = {"script": PREPARE.read_text(encoding="utf-8"), "first": first, "arguments": [str(swap_mib), *needs]}
    request = target(stack, host, address).apply(
        lambda resolved: json.dumps({"target": resolved, "limit": stack.readyTimeout, **script}, sort_keys=True)
    )
    # Its own limit ends it with the reason; the engine's is for a program that hangs
    limit = f"{stack.readyTimeout + 60}s"
    return command.local.Command(
        f"{name}-ready",
        create=here("infra.ready"),
        stdin=pulumi.Output.secret(request),
        triggers=[machine],
        logging=command.local.Logging.STDERR,
        add_previous_output_in_env=False,
        opts=inside(
            parent,
            depends_on=after or [],
            ignore_changes=["create", "stdin"] if is_kept else [],
            custom_timeouts=pulumi.CustomTimeouts(create=limit, update=limit),
        ),
    )


def here(module: str, *arguments: str) -> str:
    """The command that runs a program of ours on this machine, in the environment that this program runs in. `exec`
    leaves no shell between it and Pulumi: who is killed is who can notice."""
    return " ".join(["exec", ".venv/bin/python", "-m", module, *arguments])
