"""A hand-made Sydney, as the WatchMe document describes it: an instance, an address, a security group, 13
repositories and a record, and on the machine plain files. No program knows of any of it."""

import io
import subprocess
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from catalogue.loading import load
from catalogue.stack import read_stack
from lab import registry, services
from lab.cloud.machine_images import AMI
from lab.run import run, succeeds, wait_until
from lab.settings import ACCOUNT, ZONE, Lab
from lab.stubs import stubs
from rendering.files import HostFiles
from rendering.host import render

NAME = f"api.{ZONE}"
# The document's 13: with those of the retired services, and without the two that were to be made in Tokyo
OURS = ("infra-", "00-infra")  # how the names begin of what only this program brings
RETIRED = ("watchme-api-behavior-features", "watchme-api-opensmile")
MANAGER, SCHEDULER = "/home/ubuntu/watchme-api-manager/docker-compose.all.yml", "watchme-scheduler"
# The lab finds the container of a host by this name
SERVER = "lab-watchme"
NEW = ("watchme-api-ast", "watchme-api-superb")


@dataclass(frozen=True)
class HandMade:
    """`identity` is the file with its owner's private key."""

    instance: str
    address: str
    container: str
    identity: Path


def make(lab: Lab, project: Path, region: str) -> HandMade:
    """With boto3 and a shell, as its owner did."""
    identity, public = _key(lab)
    clients = {
        service: boto3.client(service, region_name=region, endpoint_url=lab.endpoint, **_credentials(lab))  # type: ignore[call-overload]
        for service in ("ec2", "ecr", "route53")
    }
    instance, address = _machine(clients["ec2"], public)
    for repository in [*stubs(), *RETIRED, "watchme-old-experiment"]:
        if repository not in NEW:
            clients["ecr"].create_repository(repositoryName=repository)
    zone = clients["route53"].list_hosted_zones()["HostedZones"][0]["Id"]
    change = {
        "Action": "UPSERT",
        "ResourceRecordSet": {"Name": NAME, "Type": "A", "TTL": 300, "ResourceRecords": [{"Value": address}]},
    }
    clients["route53"].change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [change]})
    container = f"wml-{lab.name}-{instance}"
    wait_until("the machine", lambda: succeeds("docker", "exec", container, "cloud-init", "status", "--wait"))
    _set_up(lab, project, region, container)
    return HandMade(instance, address, container, identity)


def _credentials(lab: Lab) -> dict[str, str]:
    keys = services.credentials(lab)
    return {"aws_access_key_id": keys["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": keys["AWS_SECRET_ACCESS_KEY"]}


def _key(lab: Lab) -> tuple[Path, str]:
    made = Ed25519PrivateKey.generate()
    path = lab.path("owners-key")
    path.touch(0o600)
    path.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    return path, made.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _machine(ec2: Any, public: str) -> tuple[str, str]:
    """An instance in the default network, by the console's own wizard."""
    user = {"name": "ubuntu", "shell": "/bin/bash", "sudo": "ALL=(ALL) NOPASSWD:ALL", "ssh_authorized_keys": [public]}
    data = "#cloud-config\n" + yaml.safe_dump({"users": [user]})
    network = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    subnet = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [network]}])["Subnets"][0]["SubnetId"]
    wizard = "launch-wizard-1"
    group = ec2.create_security_group(GroupName=wizard, Description=wizard, VpcId=network)["GroupId"]
    for port in (22, 80, 443):
        ec2.authorize_security_group_ingress(
            GroupId=group, IpProtocol="tcp", FromPort=port, ToPort=port, CidrIp="0.0.0.0/0"
        )
    disk = {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 30, "VolumeType": "gp3", "Encrypted": False}}
    made = ec2.run_instances(
        ImageId=AMI["arm64"], InstanceType="t4g.large", MinCount=1, MaxCount=1, SubnetId=subnet,
        SecurityGroupIds=[group], UserData=data, BlockDeviceMappings=[disk],
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": SERVER}]}],
    )  # fmt: skip
    instance = made["Instances"][0]["InstanceId"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    address = ec2.allocate_address(Domain="vpc")
    ec2.associate_address(InstanceId=instance, AllocationId=address["AllocationId"])
    return instance, address["PublicIp"]


def _set_up(lab: Lab, project: Path, region: str, container: str) -> None:
    """What the document's owner did on the machine: files, a certificate, images, units."""
    stack = read_stack(project, "lab", lab.config_file)
    files = render(replace(load(project, stack), stack=stack.at(region)), "watchme")
    _shell(container, "systemctl stop nginx")
    _shell(
        container,
        f"certbot certonly -q --standalone -d {NAME} --agree-tos -m ops@{ZONE} --server {stack.acmeDirectory}",
    )
    subprocess.run(
        ["docker", "exec", "-i", container, "tar", "-x", "-C", "/"], input=_packed(files), check=True, timeout=120
    )
    for link in files.links:
        _shell(container, f"ln -sfn {link.target} {link.path}")
    login = f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com"
    subprocess.run(
        ["docker", "exec", "-i", container, "docker", "login", "-u", registry.USER, "--password-stdin", login],
        input=registry.token(lab).encode(), check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    for repository in NEW:
        build_there(lab, region, container, repository)
    _shell(container, "rm -f /etc/nginx/sites-enabled/default; systemctl daemon-reload")
    units = [u.name for u in files.units if not u.name.startswith(OURS) and SCHEDULER not in u.name]
    _shell(container, f"systemctl enable -q --now {' '.join(units)} && systemctl restart nginx")


def build_there(lab: Lab, region: str, container: str, repository: str) -> None:
    """An image that no registry of the region has: it was built on the machine, under the name that its unit runs."""
    # Docker copies beside what is mounted on /tmp
    run("docker", "cp", str(lab.path("layouts", region, repository)), f"{container}:/root/{repository}")
    name = f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com/{repository}:latest"
    _shell(container, f"skopeo copy -q oci:/root/{repository}:latest docker-daemon:{name}; rm -r /root/{repository}")


def _packed(files: HostFiles) -> bytes:
    """The files that the document has; what only this program brings is left out."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file in files.files:
            # Without its settings for all sites the site's own file would not be read
            is_ours = Path(file.path).name.startswith(OURS) and not file.path.startswith("/etc/nginx/conf.d/")
            if is_ours or file.path.startswith(("/etc/infra/", "/root/.docker/")):
                continue
            if b"infra-monitor" in file.content:
                continue
            if SCHEDULER in file.path:
                continue
            content = _with_scheduler(files) if file.path == MANAGER else file.content
            entry = tarfile.TarInfo(file.path.lstrip("/"))
            entry.size, entry.mode = len(content), file.mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _with_scheduler(files: HostFiles) -> bytes:
    """The document's docker-compose.all.yml: the manager and the scheduler in one project, under one unit."""
    both = {file.path: yaml.safe_load(file.content) for file in files.files if file.path.endswith(".yml")}
    own = next(value for path, value in both.items() if SCHEDULER in path)
    both[MANAGER]["services"] |= own["services"]
    return yaml.safe_dump(both[MANAGER], sort_keys=False).encode()


def _shell(container: str, script: str) -> str:
    return run("docker", "exec", container, "sh", "-ec", script)
