"""How a host of any kind is reached over SSH, and the command that waits until it is ready for a release."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_command as command

from catalogue.stack import Stack
from components.naming import inside
from rendering.requests import ReadyRequest, TargetFields
from rendering.user_data import PREPARE


class ReachableHost(pulumi.ComponentResource):
    """A host that a release can go to. `machine` changes when the machine is replaced: a new one starts empty. At its
    `private` address other hosts of the stack reach it; "" where there is none."""

    address: pulumi.Output[str]
    private: pulumi.Output[str]
    machine: pulumi.Output[str]
    target: pulumi.Output[TargetFields]
    ready: command.local.Command


def target(stack: Stack, host: str, address: pulumi.Output[str]) -> pulumi.Output[TargetFields]:
    """The fields of `infra.ssh.Target`."""
    login = stack.login(host)

    def fields(resolved: str) -> TargetFields:
        return {
            "host": host, "address": resolved, "port": login.port, "user": login.user,
            "host_key": login.host_key, "private_key": stack.sshPrivateKey or "",
        }  # fmt: skip

    return address.apply(fields)


@dataclass(frozen=True)
class Preparation:
    """What a host is prepared for: it `needs` these packages (rendering/host.py), and has `swap_mib` of swap. `first`
    are shell commands that come before that. One that `is_kept` is prepared for nothing more."""

    needs: list[str]
    swap_mib: int = 0
    first: str = ""
    is_kept: bool = False


def ready(
    host: ReachableHost, name: str, stack: Stack, preparation: Preparation, after: Sequence[pulumi.Resource] = ()
) -> command.local.Command:
    """Waits until the host answers SSH with its own key, and prepares it. The script comes along and is safe to repeat:
    what failed at the first boot is reported now, and can be fixed."""

    def request(resolved: TargetFields) -> str:
        fields: ReadyRequest = {
            "target": resolved, "limit": stack.readyTimeout, "script": PREPARE.read_text(encoding="utf-8"),
            "first": preparation.first, "arguments": [str(preparation.swap_mib), *preparation.needs],
        }  # fmt: skip
        return json.dumps(fields, sort_keys=True)

    # Its own limit ends it with the reason; the engine's is for a program that hangs
    limit = f"{stack.readyTimeout + 60}s"
    return command.local.Command(
        f"{name}-ready",
        create=here("infra.ready"),
        stdin=pulumi.Output.secret(host.target.apply(request)),
        triggers=[host.machine],
        logging=command.local.Logging.STDERR,
        add_previous_output_in_env=False,
        opts=inside(
            host,
            depends_on=list(after),
            ignore_changes=["create", "stdin"] if preparation.is_kept else [],
            custom_timeouts=pulumi.CustomTimeouts(create=limit, update=limit),
        ),
    )


def here(module: str, *arguments: str) -> str:
    """The command that runs a program of ours on this machine, in the environment that this program runs in. `exec`
    leaves no shell between it and Pulumi: who is killed is who can notice."""
    return " ".join(["exec", ".venv/bin/python", "-m", module, *arguments])
