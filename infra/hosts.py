"""The hosts of a stack as its administrator reaches them: addresses and releases from Pulumi, the key from the
stack's configuration."""

import json
from typing import cast

from catalogue.host import SshHost
from catalogue.outputs import RegionOutputs, StackOutputs
from catalogue.shapes import JsonObject
from catalogue.stack import PROJECT, Stack
from infra.errors import InfraError
from infra.orphans.state import State, resources_of
from infra.orphans.state import name as resource_name
from infra.pulumi import pulumi
from infra.ssh import Target


class LastOutputs(StackOutputs, RegionOutputs):
    """The outputs of a stack's last update; a host of a region that stands by is `HOST@REGION` there."""


ADDRESS = "aws:ec2/eip:Eip"  # named HOST-PLACE-address by components/host.py


def outputs(stack: Stack) -> LastOutputs:
    """Raises InfraError."""
    raw: JsonObject = json.loads(pulumi("stack", "output", "--json", "--stack", stack.name) or "{}")
    if "addresses" not in raw:
        raw = {"addresses": addresses_from_state(stack), "releases": {}, "standby": []}
    last = cast(LastOutputs, {"releases": {}, **raw})
    if not last["addresses"]:
        raise InfraError(f"stack {stack.name} has no hosts yet: pulumi up --stack {stack.name}")
    for region in last.get("standby", []):
        standby: RegionOutputs = raw[f"standby_{region}"]
        last["addresses"] |= {f"{host}@{region}": address for host, address in standby["addresses"].items()}
        last["releases"] |= {f"{host}@{region}": release for host, release in standby["releases"].items()}
        between = standby.get("privateAddresses", {})
        last["privateAddresses"] = last.get("privateAddresses", {}) | {f"{h}@{region}": a for h, a in between.items()}
    return last


def release_of(last: LastOutputs, host: str) -> str | None:
    """The release that the last update brought to a host; None where it brought none."""
    release = last["releases"].get(host)
    return release["id"] if release else None


def addresses_from_state(stack: Stack) -> dict[str, str]:
    """Host → address, of the hosts that are there although no update has come to its end yet: there are no outputs."""
    state: State = json.loads(pulumi("stack", "export", "--stack", stack.name) or "{}")
    resources = resources_of(state)
    if not resources:
        return {}
    elastic = {
        resource_name(resource): (resource.get("outputs") or {}).get("publicIp", "")
        for resource in resources
        if resource.get("type") == ADDRESS
    }
    addresses = {host: elastic.get(f"{stack.resource_prefix(host)}-address", "") for host in stack.ec2_hosts}
    addresses |= {host: spec.address for host, spec in stack.hosts.items() if isinstance(spec, SshHost)}
    return {host: address for host, address in addresses.items() if address}


def targets(stack: Stack, host: str | None = None) -> dict[str, Target]:
    """Host → how to reach it; only `host` when one is named. Raises InfraError."""
    return select_targets(stack, outputs(stack), host, private_key(stack))


def select_targets(stack: Stack, last: LastOutputs, host: str | None, key: str) -> dict[str, Target]:
    """The same by a stack's outputs and key. Raises InfraError."""
    addresses = last["addresses"]
    if host is not None and host not in addresses:
        raise InfraError(f"stack {stack.name} has no host {host!r}; hosts: {', '.join(sorted(addresses))}")
    return {name: _target(stack, name, addresses[name], key) for name in addresses if host in (None, name)}


def targets_at(stack: Stack, addresses: dict[str, str]) -> dict[str, Target]:
    """Host → how to reach it at its address. Raises InfraError."""
    key = private_key(stack)
    return {name: _target(stack, name, address, key) for name, address in addresses.items()}


def private_key(stack: Stack) -> str:
    """Raises InfraError where it cannot be decrypted here."""
    return pulumi("config", "get", f"{PROJECT}:sshPrivateKey", "--stack", stack.name)


def _target(stack: Stack, host: str, address: str, key: str) -> Target:
    login = stack.login(host.partition("@")[0])
    return Target(host, address, login.port, login.user, login.host_key, key)
