"""Facts of one resource, for the rules."""

from policy import rules
from policy.facts import Facts, Resource
from tests.policy.limits import LIMITS

TAGS = {"tags": {"project": "infra", "stack": "prod", "system": "watchme"}}
MACHINE = {
    "instanceType": "t4g.large", "metadataOptions": {"httpTokens": "required"}, "disableApiTermination": True,
    "rootBlockDevice": {"encrypted": True, "volumeSize": 30}, **TAGS,
}  # fmt: skip


def of(type: str, inputs: dict) -> Facts:
    return Facts("prod", [Resource(type, "it", inputs)], limits=LIMITS)


def opening(network: str, port: int = 22, **more) -> Facts:
    rule = {"fromPort": port, "toPort": port, "ipProtocol": "tcp", "cidrIpv4": network, **more, **TAGS}
    return of(rules.OPENING, rule)


def machine(**changes) -> Facts:
    return of(rules.INSTANCE, MACHINE | changes)


def policy_for(principal: str) -> str:
    return f'{{"Statement": [{{"Effect": "Allow", "Principal": {principal}}}]}}'
