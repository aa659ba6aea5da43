"""How a host of any kind is reached, and the gate that waits until it can take a release."""

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
    ready: command.remote.Command


def target(stack: Stack, host: str, address: pulumi.Output[str]) -> pulumi.Output[dict[str, Any]]:
    """The fields of `infra.ssh.Target`."""
    login = stack.login(host)
    return address.apply(
        lambda known: {
            "host": host, "address": known, "port": login.port, "user": login.user,
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
) -> command.remote.Command:
    """Waits until the host answers SSH with its own key, runs `first`, and prepares it. The script comes along and is
    safe to repeat: what failed at the first boot is said now, and can be mended."""
    login = stack.login(host)
    shell = f"{'' if login.user == 'root' else 'sudo -n '}sh -s"
    limit = f"{stack.readyTimeout}s"
    return command.remote.Command(
        f"{name}-ready",
        connection=command.remote.ConnectionArgs(
            host=address,
            port=login.port,
            user=login.user,
            private_key=pulumi.Output.secret(stack.sshPrivateKey or ""),
            host_key=login.host_key,
            dial_error_limit=-1,
        ),
        create=" ".join([f"{first}{shell}", str(swap_mib), *needs]),
        stdin=PREPARE.read_text(),
        triggers=[machine],
        add_previous_output_in_env=False,
        opts=inside(
            parent,
            depends_on=after or [],
            # Without one for updates too, a gate that dials without a limit would dial for ever
            custom_timeouts=pulumi.CustomTimeouts(create=limit, update=limit),
        ),
    )
