"""One EC2 host: address, machine, and the command that waits until it is ready for a release."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from catalogue.host import Ec2Host
from catalogue.sizes import MiB, to_bytes
from catalogue.stack import Stack
from components import access
from components.before import REPLACES
from components.data_disk import DataDisk, attach
from components.naming import inside, tags
from components.network import Network
from rendering.user_data import Administrator, HostKey, user_data

CLOUD_INIT = "cloud-init status --wait >/dev/null; "


@dataclass(frozen=True)
class Origin:
    """Where a host's machine comes from: the `image` that a new one boots, and the lost machine whose place it takes
    (`replaces`, "" for none). One that `is_kept` is there already and stays as it is, whatever its host is to be:
    without a data disk, where it has none."""

    image: str
    replaces: str
    is_kept: bool = False
    has_disk: bool = True


@dataclass(frozen=True)
class HostArgs:
    """The `host` of a stack as its configuration describes it (`spec`), the packages that its release `needs`, where
    its machine comes from, the `network` it is in, the instance `profile` that it has, further tags of its disk
    (`marks`), and the `disk` for its data, where it has one."""

    stack: Stack
    host: str
    spec: Ec2Host
    needs: list[str]
    origin: Origin
    network: Network
    profile: pulumi.Input[str]
    marks: dict[str, str]
    disk: DataDisk | None = None


class Host(access.ReachableHost):
    """`address` is the public address; the rest is `components.access.ReachableHost`."""

    def __init__(self, name: str, args: HostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("infra:index:Host", name, None, opts)
        stack, host, spec = args.stack, args.host, args.spec
        label = tags(stack, "+".join(spec.runs), f"{stack.name}-{host}")
        instance = self._instance(name, args, label)
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
        self.machine, self.private = instance.id, instance.private_ip
        self.address = pulumi.Output.all(address.public_ip, association.id).apply(lambda both: both[0])
        self.target = access.target(stack, host, self.address)
        preparation = access.Preparation(args.needs, to_bytes(spec.swap) // MiB, CLOUD_INIT, args.origin.is_kept)
        self.ready = access.ready(self, name, stack, preparation, after=[association])
        if args.disk:
            self.ready = attach(self, name, stack, args.disk, label)
        facts = {"host": host, "region": stack.region, "address": self.address, "machine": self.machine}
        self.register_outputs(facts | {"generation": spec.generation})

    def _instance(self, name: str, args: HostArgs, label: dict[str, str]) -> aws.ec2.Instance:
        stack, host, spec, replaces = args.stack, args.host, args.spec, args.origin.replaces
        own = ["instanceType", "rootBlockDevice.volumeSize"] if args.origin.is_kept else []
        text = user_data(
            f"{stack.name}-{host}",
            Administrator(stack.sshUser, stack.sshPublicKey or ""),
            HostKey(stack.hostPrivateKeys[host], stack.hostPublicKeys[host]),
            spec.swap,
            args.needs,
        )
        return aws.ec2.Instance(
            f"{name}-instance",
            ami=args.origin.image,
            instance_type=spec.instanceType,
            subnet_id=args.network.subnet_id,
            vpc_security_group_ids=args.network.groups_of(host),
            associate_public_ip_address=True,
            iam_instance_profile=args.profile,
            # No container reaches the host's credentials: the answer does not survive a second hop
            metadata_options=aws.ec2.InstanceMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            root_block_device=aws.ec2.InstanceRootBlockDeviceArgs(
                volume_type="gp3", volume_size=spec.volume, encrypted=True, tags={**label, **args.marks}
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
                # A volume is at one machine at a time
                delete_before_replace=True if args.disk else None,
                # The engine believes its state: another value means that the machine is gone; a first one does not
                replacement_trigger=replaces or "nothing",
            ),
        )
