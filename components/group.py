"""The Docker Swarm of a group of hosts: formed once they can take a release, and before any of them gets one."""

import json
from typing import Any

import pulumi
import pulumi_command as command

from agent import program
from catalogue.groups import managers
from catalogue.loading import Catalogue
from catalogue.parts import members
from catalogue.stack import Stack
from components import access
from components.before import Before
from components.move import is_under_way
from rendering.groups import group_request
from rendering.requests import GroupHost


def refuse_move(stack: Stack, before: Before) -> None:
    """Raises pulumi.RunError for a region move of a stack with a group, or another machine of one of its hosts: what
    the group runs would not be served in between."""
    grouped = {host for hosts in members(stack).values() for host in hosts} & {*stack.ec2_hosts}
    is_replaced = any(host in grouped and place != stack.place(host) for place, host in before.serving)
    if grouped and (is_replaced or is_under_way(stack, before)):
        raise pulumi.RunError(
            f"nothing was touched: {', '.join(members(stack))} has a group of hosts, which cannot move to other "
            "machines. Write count: 1, run pulumi up, move, and write count again (docs/groups.md)"
        )


def former_groups(stack: Stack, before: Before) -> dict[str, list[str]]:
    """The first host of each group of the last whole update → its hosts that are still there, and not in that group any
    more. They reach each other until the update after: what the group runs serves until their own releases."""
    now = members(stack)
    leaving = {
        leader: [host for host in hosts if host in stack.ec2_hosts and host not in now.get(leader, [])]
        for leader, hosts in before.groups.items()
        if leader in stack.ec2_hosts
    }
    return {leader: hosts for leader, hosts in leaving.items() if hosts}


def form(
    name: str, catalogue: Catalogue, machines: dict[str, access.ReachableHost], opts: pulumi.ResourceOptions
) -> command.local.Command:
    """Brings the hosts into one Swarm, the first one named first, and leaves out those that are no more in the group.
    `machines` are by host those of the group."""
    stack, hosts = catalogue.stack, list(machines)
    leader = hosts[0]

    def request(resolved: list[Any]) -> str:
        of_hosts: dict[str, GroupHost] = {}
        for number, host in enumerate(hosts):
            target, address, machine = resolved[3 * number : 3 * number + 3]
            is_manager = host in managers(hosts)
            of_hosts[host] = {"target": target, "address": address, "machine": machine, "manages": is_manager}
        return json.dumps(group_request(catalogue, leader, of_hosts, program("swarm")), sort_keys=True)

    # By its request alone it is done again. A trigger would replace it, which takes the group apart at the end
    values = [value for machine in machines.values() for value in (machine.target, machine.private, machine.machine)]
    limit = f"{stack.readyTimeout + 300}s"
    return command.local.Command(
        name,
        create=access.here("infra.group"),
        delete=access.here("infra.group", "dissolve"),
        stdin=pulumi.Output.secret(pulumi.Output.all(*values).apply(request)),
        logging=command.local.Logging.STDERR,
        add_previous_output_in_env=False,
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                # One that is replaced all the same is taken apart first
                delete_before_replace=True,
                depends_on=[machine.ready for machine in machines.values()],
                custom_timeouts=pulumi.CustomTimeouts(create=limit, update=limit),
            ),
        ),
    )
