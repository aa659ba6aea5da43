"""A product of others in a lab, on a host of its own, as its owner sees it."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import boto3

from lab import elsewhere, workspace
from tests.system.conftest import System

HOST = "box"


@dataclass(frozen=True)
class Published:
    """An image of another registry: a folder of lab/programs/, its repository and tag, the version of its packages."""

    product: str
    repository: str
    tag: str
    version: str = ""
    note: str = ""


@dataclass
class Product:
    """What every product's owner asks of its host."""

    system: System
    name: str

    def on(self, *argv: str) -> str:
        ran = self.system.on_host(*argv, host=HOST)
        assert ran.code == 0, ran.output
        return ran.output

    def infra(self, *argv: str) -> str:
        ran = self.system.command("infra", *argv, "--stack", "lab")
        assert ran.code == 0, ran.output
        return ran.output

    def started(self, container: str) -> str:
        return self.on("docker", "inspect", "-f", "{{.Id}} {{.State.StartedAt}}", container)

    def ask(self, path: str) -> tuple[int, bytes]:
        status, _, body = self.system.ask("GET", path, name=self.name)
        return status, body


def publish(system: System, image: Published) -> None:
    elsewhere.publish(system.lab, image.product, f"{image.repository}:{image.tag}", image.note, image.version)


def forget_backups(system: System) -> None:
    """A stack that leaves its backups keeps the bucket: that of an earlier product in the lab would be in the way."""
    env = workspace.environment(system.lab)
    s3 = boto3.client(
        "s3", region_name="ap-southeast-2", endpoint_url=env["AWS_ENDPOINT_URL"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"], aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip
    for bucket in s3.list_buckets()["Buckets"]:
        if bucket["Name"].startswith("lab-backups-") and bucket["Name"].endswith("-ap-southeast-2"):
            found = s3.list_object_versions(Bucket=bucket["Name"])
            for entry in [*found.get("Versions", []), *found.get("DeleteMarkers", [])]:
                s3.delete_object(Bucket=bucket["Name"], Key=entry["Key"], VersionId=entry["VersionId"])
            s3.delete_bucket(Bucket=bucket["Name"])


@contextmanager
def on_own_host(
    system: System,
    systems: Iterable[str],
    files: Mapping[str, str],
    images: Iterable[Published],
    secrets: Mapping[str, str],
    machine: str = "t4g.small",
) -> Iterator[None]:
    """The systems run on a `machine` of their own, which goes with them. `files` are path → text, `secrets` are as
    `infra secret set` names them."""
    elsewhere.start(system.lab)
    if "infra:backupRegion" not in system.lab.config_file.read_text():
        forget_backups(system)
    for image in images:
        publish(system, image)
    config = system.lab.config_file
    before = config.read_text()
    for path, text in files.items():
        system.add(path, text)
    for name, value in secrets.items():
        key = f"infra:secrets.{name}"
        ran = system.command("pulumi", "config", "set", "--stack", "lab", "--secret", "--path", key, stdin=value)
        assert ran.code == 0, ran.output
    for number, name in enumerate(systems):
        system.set(f"infra:hosts.{HOST}.systems[{number}]", name)
    system.set(f"infra:hosts.{HOST}.instanceType", machine)
    system.set("infra:backupRegion", "ap-southeast-2")
    made = system.command("infra", "init", "--stack", "lab")
    assert made.code == 0 and "made the password that backups are encrypted with" in made.output, made.output
    try:
        yield
    finally:
        config.write_text(before)
        system.restore_all()
