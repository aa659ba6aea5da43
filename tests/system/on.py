"""Looking at units, services and the monitor on a host of the lab."""

import json
from collections.abc import Callable
from time import monotonic, sleep

import boto3

from lab import services
from lab.table import statuses
from tests.system.conftest import System

MONITOR = "/usr/local/bin/infra-monitor"


def ec2(system: System, region: str):
    """The emulated EC2, as the account's administrator asks it."""
    keys = services.credentials(system.lab)
    return boto3.client(
        "ec2", region_name=region, endpoint_url=system.lab.endpoint,
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"], aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip


def shown(system: System, host: str, unit: str, *fields: str, account: str | None = None) -> dict[str, str]:
    """Fields of a unit as its manager has them in force."""
    words = [word for field in fields for word in ("-p", field)]
    output = systemctl(system, host, "show", *words, unit, account=account)
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)


def systemctl(system: System, host: str, *words: str, account: str | None = None) -> str:
    """What a manager says, the host's own or an account's."""
    own = ["systemctl", *words]
    if account:
        uid = system.on_host("id", "-u", account, host=host).output
        place = f"XDG_RUNTIME_DIR=/run/user/{uid}"
        own = ["runuser", "-u", account, "--", "env", place, "systemctl", "--user", *words]
    return system.on_host(*own, host=host).output


def main_pid(system: System, host: str, unit: str, account: str | None = None) -> str:
    return shown(system, host, unit, "MainPID", account=account)["MainPID"]


def until(what: str, condition: Callable[[], bool], seconds: float = 60) -> None:
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end, f"{what} did not happen within {seconds:.0f} s"
        sleep(0.5)


def write(system: System, host: str, unit: str, path: str, account: str) -> str:
    """What the kernel says when a program in the unit's own mounts, with its account's rights, creates a file."""
    pid = main_pid(system, host, unit)
    return system.on_host("nsenter", "-t", pid, "-m", "runuser", "-u", account, "--", "touch", path, host=host).output


def is_all_healthy(system: System) -> bool:
    return all(status == 200 for _, _, status in statuses(system.lab, system.project))


def wait_until_well(system: System, seconds: float = 60) -> None:
    end = monotonic() + seconds
    while not is_all_healthy(system):
        assert monotonic() < end, statuses(system.lab, system.project)
        sleep(0.5)


def looked(system: System, *flags: str) -> dict:
    ran = system.on_host(MONITOR, "--json", *flags)
    report = json.loads(ran.output[ran.output.index("{") :])
    assert ran.code == (0 if report["well"] else 2), ran.output
    return report


def texts(report: dict) -> list[str]:
    return [entry["text"] for entry in report["conditions"] if entry["met"]]


def sh(system: System, script: str) -> str:
    ran = system.on_host("sh", "-ec", script)
    assert ran.code == 0, ran.output
    return ran.output


REGION = "ap-northeast-1"


def instance(system: System, host: str) -> dict:
    filters = [{"Name": "tag:Name", "Values": [f"lab-{host}"]}, {"Name": "instance-state-name", "Values": ["running"]}]
    (found,) = ec2(system, REGION).describe_instances(Filters=filters)["Reservations"]
    return found["Instances"][0]


def destroy(system: System, host: str) -> str:
    """As a person does in the console who has turned the protection off."""
    lost = instance(system, host)["InstanceId"]
    ec2(system, REGION).modify_instance_attribute(InstanceId=lost, DisableApiTermination={"Value": False})
    ec2(system, REGION).terminate_instances(InstanceIds=[lost])
    return lost
