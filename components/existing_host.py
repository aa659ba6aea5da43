"""An existing machine (kind ssh): it is not created, only waited for, prepared, and given releases."""

from dataclasses import dataclass

import pulumi

from catalogue.host import SshHost
from catalogue.stack import Stack
from components import access


@dataclass(frozen=True)
class ExistingHostArgs:
    """The `host` of a stack as its configuration describes it (`spec`), and the packages that its release `needs`."""

    stack: Stack
    host: str
    spec: SshHost
    needs: list[str]


class ExistingHost(access.ReachableHost):
    """The same outputs as an EC2 host's: see `components.access.ReachableHost`."""

    def __init__(self, name: str, args: ExistingHostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("infra:index:ExistingHost", name, None, opts)
        self.address = pulumi.Output.from_input(args.spec.address)
        self.private = pulumi.Output.from_input(str(args.spec.privateAddress or ""))
        # Another machine at the same address has another key
        self.machine = pulumi.Output.from_input(args.stack.login(args.host).host_key)
        self.target = access.target(args.stack, args.host, self.address)
        self.ready = access.ready(self, name, args.stack, access.Preparation(args.needs))
        self.register_outputs({"address": self.address})
