"""The hosts of a stack as its administrator reaches them: addresses and releases from Pulumi, the key from the
stack's configuration."""

import json
from typing import Any

from catalogue.host import SshHost
from catalogue.stack import PROJECT, Stack
from infra.errors import InfraError
from infra.pulumi import pulumi
from infra.ssh import Target

ADDRESS = "aws:ec2/eip:Eip"  # named HOST-PLACE-address by components/host.py


def outputs(stack: Stack) -> dict[str, Any]:
    """The outputs of the stack's last update; a host of a region that stands by is `HOST@REGION` there. Raises
    InfraError."""
    stack_outputs: dict[str, Any] = json.loads(pulumi("stack", "output", "--json", "--stack", stack.name) or "{}")
    if "addresses" not in stack_outputs:
        stack_outputs = {"addresses": addresses_from_state(stack), "releases": {}, "standby": []}
    if not stack_outputs["addresses"]:
        raise InfraError(f"stack {stack.name} has no hosts yet: pulumi up --stack {stack.name}")
    standby: list[str] = stack_outputs.get("standby", [])
    for region in standby:
        for kind, values in stack_outputs[f"standby_{region}"].items():
            stack_outputs[kind] |= {f"{host}@{region}": value for host, value in values.items()}
    return stack_outputs


def addresses_from_state(stack: Stack) -> dict[str, str]:
    """Host → address, of the hosts that are there although no update has come to its end yet: there are no outputs."""
    state: dict[str, Any] = json.loads(pulumi("stack", "export", "--stack", stack.name) or "{}")
    deployment: dict[str, Any] = state.get("deployment") or {}
    resources: list[dict[str, Any]] = deployment.get("resources") or []
    if not resources:
        return {}
    elastic = {
        resource["urn"].rsplit("::", 1)[-1]: _public_address(resource)
        for resource in resources
        if resource.get("type") == ADDRESS
    }
    named = {host: elastic.get(f"{stack.made_as(host)}-address", "") for host in stack.ec2_hosts}
    named |= {host: spec.address for host, spec in stack.hosts.items() if isinstance(spec, SshHost)}
    return {host: address for host, address in named.items() if address}


def _public_address(resource: dict[str, Any]) -> str:
    outputs: dict[str, str] = resource.get("outputs") or {}
    return outputs.get("publicIp", "")


def targets(stack: Stack, host: str | None = None) -> dict[str, Target]:
    """Host → how to reach it; only `host` when one is named. Raises InfraError."""
    return select_targets(stack, outputs(stack), host, private_key(stack))


def select_targets(stack: Stack, stack_outputs: dict[str, Any], host: str | None, key: str) -> dict[str, Target]:
    """The same by a stack's outputs and key. Raises InfraError."""
    addresses = stack_outputs["addresses"]
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
