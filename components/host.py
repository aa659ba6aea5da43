"""One EC2 host: address, machine, and the gate that waits until it can take a release."""

from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_command as command

from catalogue.sizes import MiB, to_bytes
from catalogue.stack import Ec2Host, Stack
from components.naming import inside, tags
from components.network import Network
from rendering.user_data import PREPARED, user_data

# Once cloud-init has ended the script that it ran is asked again: what failed then is said now, and can be mended
READY = "cloud-init status --wait >/dev/null; sudo -n {script} {swap}"


class Host(pulumi.ComponentResource):
    """`address` is the public address, `machine` changes with the machine, `target` is how releases reach it,
    `ready` depends on it all."""

    address: pulumi.Output[str]
    machine: pulumi.Output[str]
    target: pulumi.Output[dict[str, Any]]
    ready: command.remote.Command

    def __init__(
        self,
        name: str,
        host: str,
        stack: Stack,
        image: str,
        network: Network,
        profile: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("infra:index:Host", name, None, opts)
        spec = stack.hosts[host]
        label = tags(stack, "+".join(spec.systems), f"{stack.name}-{host}")
        instance = self._instance(name, host, spec, stack, image, network, profile, label)
        address = aws.ec2.Eip(f"{name}-address", domain="vpc", tags=label, opts=inside(self))
        association = aws.ec2.EipAssociation(
            f"{name}-address-use",
            instance_id=instance.id,
            allocation_id=address.id,
            # A new machine takes the address over from the lost one
            allow_reassociation=True,
            opts=inside(self),
        )
        self.machine = instance.id
        self.address = pulumi.Output.all(address.public_ip, association.id).apply(lambda args: args[0])
        self.target = target(stack, host, self.address)
        self.ready = command.remote.Command(
            f"{name}-ready",
            connection=connection(stack, host, self.address),
            create=READY.format(script=PREPARED, swap=to_bytes(spec.swap) // MiB),
            triggers=[instance.id],
            add_previous_output_in_env=False,
            opts=inside(self, depends_on=[association], custom_timeouts=timeouts(stack)),
        )
        self.register_outputs({"address": self.address, "machine": self.machine})

    def _instance(
        self,
        name: str,
        host: str,
        spec: Ec2Host,
        stack: Stack,
        image: str,
        network: Network,
        profile: pulumi.Input[str],
        label: dict[str, str],
    ) -> aws.ec2.Instance:
        text = user_data(
            f"{stack.name}-{host}",
            stack.sshUser,
            stack.sshPublicKey or "",
            stack.hostPrivateKeys[host],
            stack.hostPublicKeys[host],
            spec.swap,
        )
        return aws.ec2.Instance(
            f"{name}-instance",
            ami=image,
            instance_type=spec.instanceType,
            subnet_id=network.subnet_id,
            vpc_security_group_ids=[network.security_group_id],
            associate_public_ip_address=True,
            iam_instance_profile=profile,
            # No container reaches the host's credentials: the answer does not survive a second hop
            metadata_options=aws.ec2.InstanceMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            root_block_device=aws.ec2.InstanceRootBlockDeviceArgs(
                volume_type="gp3", volume_size=spec.volume, encrypted=True, tags=label
            ),
            user_data=pulumi.Output.secret(text),
            tags=label,
            opts=inside(
                self,
                # Pinned: a new image or script is for new hosts, an existing one is never replaced for it
                ignore_changes=["ami", "userData", "associatePublicIpAddress"],
            ),
        )


def timeouts(stack: Stack) -> pulumi.CustomTimeouts:
    """Without one for updates too, a gate that dials without a limit would dial for ever."""
    limit = f"{stack.readyTimeout}s"
    return pulumi.CustomTimeouts(create=limit, update=limit)


def connection(stack: Stack, host: str, address: pulumi.Input[str]) -> command.remote.ConnectionArgs:
    """SSH to a host whose key is known beforehand; it dials until the resource's own timeout."""
    return command.remote.ConnectionArgs(
        host=address,
        user=stack.sshUser,
        private_key=pulumi.Output.secret(stack.sshPrivateKey or ""),
        host_key=stack.hostPublicKeys[host],
        dial_error_limit=-1,
    )


def target(stack: Stack, host: str, address: pulumi.Output[str]) -> pulumi.Output[dict[str, Any]]:
    """The fields of `infra.ssh.Target`."""
    return address.apply(
        lambda known: {
            "host": host, "address": known, "port": 22, "user": stack.sshUser,
            "host_key": stack.hostPublicKeys[host], "private_key": stack.sshPrivateKey,
        }
    )  # fmt: skip
