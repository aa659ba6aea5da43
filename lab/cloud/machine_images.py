"""The machine images that the emulated account offers, in moto's form; the lab's own image stands for all of them."""

import json
from pathlib import Path

from infra.writing import put

AMI = {"arm64": "ami-0a71000000000arm0", "x86_64": "ami-0a71000000000amd6"}
PARAMETERS = {
    "/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id": AMI["arm64"],
    "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id": AMI["x86_64"],
}


def write(path: Path) -> None:
    put(path, json.dumps([_image(architecture, ami) for architecture, ami in AMI.items()]))


def _image(architecture: str, ami: str) -> dict[str, object]:
    return {
        "ami_id": ami,
        "architecture": architecture,
        "description": "Ubuntu 24.04 LTS (the lab's machine image stands for it)",
        "hypervisor": "xen",
        "image_location": "amazon/ubuntu",
        "image_type": "machine",
        "name": f"ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{architecture}",
        "owner_id": "099720109477",
        "platform": None,
        "public": True,
        "root_device_name": "/dev/sda1",
        "root_device_type": "ebs",
        "sriov": "simple",
        "state": "available",
        "virtualization_type": "hvm",
    }
