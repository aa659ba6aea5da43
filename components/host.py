"""One EC2 host: address, machine, and the gate that waits until it can take a release."""

import pulumi
import pulumi_aws as aws

from catalogue.host import Ec2Host
from catalogue.sizes import MiB, to_bytes
from catalogue.stack import Stack
from components import access
from components.before import REPLACES
from components.naming import inside, tags
from components.network import Network
from rendering.user_data import Administrator, HostKey, user_data

CLOUD_INIT = "cloud-init status --wait >/dev/null; "


class Host(access.Reachable):
    """`address` is the public address, `marks` are further tags of its disk, `replaces` is the lost machine
    whose place this one takes ("" for none). One that `is_kept` stays as it is, whatever its host is to be; the rest is
    `components.access.Reachable`."""

    def __init__(
        self,
        name: str,
        host: str,
        spec: Ec2Host,
        stack: Stack,
        image: str,
        network: Network | None,
        profile: pulumi.Input[str],
        needs: list[str],
        marks: dict[str, str],
        replaces: str,
        is_kept: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("infra:index:Host", name, None, opts)
        assert network, "there is one wherever there is an instance"
        label = tags(stack, "+".join(spec.runs), f"{stack.name}-{host}")
        instance = self._instance(
            name, host, spec, stack, image, network, profile, needs, label, marks, replaces, is_kept
        )
        address = aws.ec2.Eip(f"{name}-address", domain="vpc", tags=label, opts=inside(self))
        association = aws.ec2.EipAssociation(
            f"{name}-address-use",
            instance_id=instance.id,
            allocation_id=address.id,
            # A new machine takes the address over from the lost one
            allow_reassociation=True,
            # What AWS does not say of one that was taken over is no reason to replace it
            opts=inside(self, ignore_changes=["allowReassociation"]),
        )
        self.machine = instance.id
        self.address = pulumi.Output.all(address.public_ip, association.id).apply(lambda args: args[0])
        self.target = access.target(stack, host, self.address)
        swap = to_bytes(spec.swap) // MiB
        self.ready = access.ready(
            self, name, stack, host, self.address, instance.id, needs, swap, CLOUD_INIT, [association], is_kept
        )
        facts = {"host": host, "region": stack.region, "address": self.address, "machine": self.machine}
        self.register_outputs(facts | {"generation": spec.generation})

    def _instance(
        self,
        name: str,
        host: str,
        spec: Ec2Host,
        stack: Stack,
        image: str,
        network: Network,
        profile: pulumi.Input[str],
        needs: list[str],
        label: dict[str, str],
        marks: dict[str, str],
        replaces: str,
        is_kept: bool,
    ) -> aws.ec2.Instance:
        own = ["instanceType", "rootBlockDevice.volumeSize"] if is_kept else []
        text = user_data(
            f"{stack.name}-{host}",
            Administrator(stack.sshUser, stack.sshPublicKey or ""),
            HostKey(stack.hostPrivateKeys[host], stack.hostPublicKeys[host]),
            spec.swap,
            needs,
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
                volume_type="gp3", volume_size=spec.volume, encrypted=True, tags={**label, **marks}
            ),
            user_data=pulumi.Output.secret(text),
            # Against a slip in AWS's console; the program itself may still retire a region
            disable_api_termination=stack.protected,
            force_destroy=True,
            tags={**label, **({REPLACES: replaces} if replaces else {})},
            opts=inside(
                self,
                # Pinned: a new image or script is for new hosts, an existing one is never replaced for it
                # and a volume that is there cannot be encrypted any more
                ignore_changes=["ami", "userData", "associatePublicIpAddress", "rootBlockDevice.encrypted", *own],
                # The engine believes its state: another value means that the machine is gone; a first one does not
                replacement_trigger=replaces or "nothing",
            ),
        )
