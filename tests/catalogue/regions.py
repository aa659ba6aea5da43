"""Every rule about regions and machines, with an example that breaks it."""

from typing import Any

from tests.catalogue.changes import configured, hosted
from tests.support import HOME


def kept(generation: int) -> dict[str, Any]:
    return {"generation": generation, "instanceType": "t4g.large"}


# Name → configuration, and what the one line must say
EXAMPLES = {
    "no host": (configured(hosts={}), "infra:hosts: the stack has no host; must have one: infra adopt host ADDRESS"),
    "SSH opened for a time without a security group": (
        configured(temporarySsh=True, hosts={"watchme": HOME | {"systems": ["watchme"]}}),
        "infra:temporarySsh: no host is of kind ec2, and SSH is opened in security groups of AWS alone",
    ),
    "standing by where it serves": (
        configured(standbyRegions=["ap-northeast-1"]),
        "infra:standbyRegions: ap-northeast-1 is aws:region itself",
    ),
    "a machine that is kept beside itself": (
        hosted(generation=2, kept=[kept(1), kept(2)]),
        "infra:hosts.watchme.kept: 2 is the current generation",
    ),
    "a machine of no known type": (
        hosted(generation=2, kept=[kept(1) | {"instanceType": "t4g.xlage"}]),
        "infra:hosts.watchme.kept: instance type t4g.xlage is not known",
    ),
    "a machine that is kept twice": (
        hosted(generation=2, kept=[kept(1), kept(1)]),
        "infra:hosts.watchme.kept: lists a generation twice",
    ),
}
