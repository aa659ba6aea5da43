"""Directory and addresses of a lab. Labs of different names and numbers share nothing."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from lab import ports
from lab.project import ROOT, Project
from lab.say import LabError

PROJECT = Project(ROOT)
ACCOUNT, ZONE, REGIONS = PROJECT.account, PROJECT.zone, PROJECT.regions
# The registry that stands for all others, and the names that lead there
ELSEWHERE = "elsewhere"
REGISTRIES = (*REGIONS, ELSEWHERE)
OTHER_REGISTRIES = (
    "docker.io", "index.docker.io", "registry-1.docker.io", "codeberg.org", "gcr.io", "ghcr.io", "lscr.io",
    "mcr.microsoft.com", "public.ecr.aws", "quay.io", "registry.gitlab.com", "registry.k8s.io",
)  # fmt: skip
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "watchme-infra"
LABEL = "watchme-infra.lab"
HOST_LABEL = "watchme-infra.host"
REGION_LABEL = "watchme-infra.region"
DIRECTORY_LABEL = "watchme-infra.directory"
NAME = re.compile(r"(?P<name>[a-z][a-z0-9]{0,10}):(?P<number>[0-9]{1,3})")
# Seconds to a region, one way, from Japan
DELAYS = {"ap-southeast-2": 0.06}
KINDS = ("host", "plain")


@dataclass(frozen=True)
class Lab:
    """`number` (2–254) is the third part of nothing but our own: public addresses 127.NUMBER.0.0/16, hosts' network
    10.213.NUMBER.0/24."""

    name: str
    number: int
    directory: Path

    @property
    def bridge(self) -> str:
        return f"wml-{self.name}"[:15]

    @property
    def shift(self) -> int:
        """What is added to the ports that this lab really listens on: see lab/ports.py."""
        file = self.path("shift")
        return int(file.read_text()) if file.exists() else ports.SHIFTS[0]

    @property
    def public_network(self) -> str:
        """The hosts' public addresses, and that of the services for the machine."""
        return f"127.{self.number}.0.0/16"

    @property
    def services(self) -> str:
        """Address of the lab's services for the machine."""
        return f"127.{self.number}.255.1"

    @property
    def gateway(self) -> str:
        """Address of the lab's services for the hosts."""
        return f"10.213.{self.number}.1"

    @property
    def subnet(self) -> str:
        return f"10.213.{self.number}.0/24"

    def registry_address(self, region: str) -> str:
        return f"10.213.{self.number}.{250 + REGISTRIES.index(region)}"

    @property
    def endpoint(self) -> str:
        return f"http://{self.services}:{ports.API}"

    @property
    def dns(self) -> str:
        return f"{self.services}:{ports.DNS}"

    @property
    def host_names(self) -> dict[str, str]:
        """What the hosts find under AWS's names, Cloudflare's, and the ACME directory's."""
        apis = ["route53.amazonaws.com", "api.cloudflare.com", "acme.lab.internal"]
        names: dict[str, str] = dict.fromkeys(apis, self.gateway)
        for region in REGIONS:
            names[f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com"] = self.registry_address(region)
            # S3 has a bucket under a name of its own too, here that of stack lab's backups
            # (restic asks at the address that has IPv6 too)
            bucket = f"lab-backups-{ACCOUNT}-{region}.s3.dualstack"
            for service in ("api.ecr", "ec2", "monitoring", "s3", bucket, "ssm", "sts"):
                names[f"{service}.{region}.amazonaws.com"] = self.gateway
        return names

    @property
    def machine_names(self) -> dict[str, str]:
        """What this machine's own programs find under the names of AWS and of other registries."""
        return self.host_names | dict.fromkeys(OTHER_REGISTRIES, self.registry_address(ELSEWHERE))

    def image(self, kind: str = "host") -> str:
        """A machine image of this lab: see lab/image/Dockerfile for the kinds."""
        return f"watchme-lab-{self.name}-{kind}"

    @property
    def foreign_names(self) -> dict[str, str]:
        """Public names whose zones are not ours, and the system whose host their owners would point them at."""
        return PROJECT.extras.foreign_names

    @property
    def config_file(self) -> Path:
        return self.directory / "Pulumi.lab.yaml"

    def path(self, *parts: str) -> Path:
        return self.directory.joinpath(*parts)


def default_lab() -> Lab:
    """The lab of `make lab`. The variable LAB gives it another name and number, for two projects with a lab at once; an
    existing lab keeps its own. Raises LabError."""
    directory = ROOT / ".lab"
    name_file = directory / "name"
    requested = os.environ.get("LAB") or ""
    own = name_file.read_text(errors="replace").strip() if name_file.exists() else ""
    if own and requested and requested != own:
        raise LabError(f"LAB={requested}: this project already has a lab {own}: run `make lab-down` first, without LAB")
    match = NAME.fullmatch(own or requested or "lab:71")
    if not match or not 2 <= int(match["number"]) <= 254:
        raise LabError(f"LAB={own or requested}: NAME:NUMBER, such as shop:76 (a-z, 0-9; number 2 to 254)")
    return Lab(match["name"], int(match["number"]), directory)


def move_lab() -> Lab:
    """The lab of `make rehearse-move`."""
    return Lab("move", 74, ROOT / ".lab-move")
