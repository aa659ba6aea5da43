"""An existing machine: nothing of it is created, it is only waited for, prepared and released to."""

import pulumi

from catalogue.host import SshHost
from catalogue.stack import Stack
from components import access


class ExistingHost(access.Reachable):
    """The same outputs as an EC2 host's: see `components.access.Reachable`."""

    def __init__(
        self,
        name: str,
        host: str,
        spec: SshHost,
        stack: Stack,
        needs: list[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("infra:index:ExistingHost", name, None, opts)
        self.address = pulumi.Output.from_input(spec.address)
        # Another machine at the same address has another key
        self.machine = pulumi.Output.from_input(stack.login(host).host_key)
        self.target = access.target(stack, host, self.address)
        self.ready = access.ready(self, name, stack, host, self.address, self.machine, needs)
        self.register_outputs({"address": self.address})
