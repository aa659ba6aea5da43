"""A host's data disk under Pulumi's mocks: what is made, what an update keeps, and what it refuses before anything is made."""

import copy
import json

import pulumi
import pytest

from components import access, region
from components.before import Disk, read
from infra.preview.graph import kinds
from policy.facts import Facts, Resource
from policy.rules import tags as untagged
from policy.rules import volumes
from tests.components import program
from tests.components.program import Mocks, machine_state, opened, run_program
from tests.policy.limits import LIMITS
from tests.support import ROOT

HOSTS = {
    "services": {"kind": "ec2", "systems": ["recall"], "instanceType": "t4g.medium", "dataDisk": {"size": 50}},
    "watchme": {"kind": "ec2", "systems": ["watchme"]},
}
KEYS = dict.fromkeys(HOSTS, "ssh-ed25519 AAAA host")
VOLUME, USE = "aws:ebs/volume:Volume", "aws:ec2/volumeAttachment:VolumeAttachment"
NAME = "services-ap-northeast-1-data-disk"


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(ROOT)


def config(**values):
    whole = {"hosts": HOSTS, "hostPublicKeys": KEYS, "hostPrivateKeys": KEYS, **values}
    return {f"infra:{key}": copy.deepcopy(value) for key, value in whole.items()}


def on(**spec):
    return config(hosts=HOSTS | {"services": HOSTS["services"] | spec})


def disk_state(size=50, zone="ap-northeast-1a"):
    outputs = {"arn": "arn:aws:ec2:ap-northeast-1:754724220380:volume/vol-1", "size": size, "availabilityZone": zone}
    urn = f"urn:pulumi:prod::infra::infra:index:Host${VOLUME}::{NAME}"
    return machine_state("i-1", host="services") | {urn: {"type": VOLUME, "outputs": outputs}}


def options_of(monkeypatch, values, state=None) -> tuple[Mocks, dict]:
    """What the program made, and each resource's options by its name."""
    options = {}
    made = pulumi.CustomResource.__init__

    def init(self, kind, name, *args, **kwargs):
        options[name] = kwargs.get("opts") or args[1]
        made(self, kind, name, *args, **kwargs)

    monkeypatch.setattr(pulumi.CustomResource, "__init__", init)
    return run_program(values, state), options


def test_host_gets_its_own_data_disk():
    mocks = run_program(config())
    (volume,), (use,) = mocks.of(VOLUME), mocks.of(USE)
    assert volume.name == NAME
    assert {key: volume.inputs[key] for key in ("size", "type", "encrypted")} == {
        "size": 50, "type": "gp3", "encrypted": True,
    }  # fmt: skip
    assert (
        volume.inputs["tags"]["Name"] == "prod-services-data" and volume.inputs["availabilityZone"] == "ap-northeast-1a"
    )
    assert use.inputs == {
        "deviceName": "/dev/sdf", "volumeId": f"{NAME}-id", "instanceId": "services-ap-northeast-1-instance-id",
        "skipDestroy": True,
    }  # fmt: skip


def test_data_disk_is_retained_and_not_replaced(monkeypatch):
    _, options = options_of(monkeypatch, config())
    volume, use, machine = (options[name] for name in (NAME, f"{NAME}-use", "services-ap-northeast-1-instance"))
    assert volume.retain_on_delete and {"availabilityZone", "encrypted"} <= {*volume.ignore_changes}
    # A volume is at one machine at a time
    assert use.delete_before_replace and machine.delete_before_replace
    assert not options["watchme-ap-northeast-1-instance"].delete_before_replace


def test_data_disk_is_mounted_before_the_release():
    mocks = run_program(config())
    (mounted,) = [m for m in mocks.of("command:local:Command") if m.name == f"{NAME}-mounted"]
    assert mounted.inputs["create"] == access.here("infra.data_disk")
    assert mounted.inputs["triggers"] == ["services-ap-northeast-1-instance-id", f"{NAME}-id"]
    request = json.loads(opened(mounted.inputs["stdin"]))
    assert request["payload"]["volume"] == f"{NAME}-id" and request["payload"]["size"] == 50
    assert request["payload"]["mounts"][0] == "/srv" and request["program"].rstrip().endswith("main(payload)")
    names = [made.name for made in mocks.made]
    assert names.index(f"{NAME}-mounted") < names.index("services-ap-northeast-1-release-apply")


def test_snapshots_are_of_the_disk_with_the_data(monkeypatch):
    monkeypatch.setattr(region, "data", lambda catalogue, host: ["/srv/x"])
    mocks = run_program(config())
    marked = {
        m.name for m in mocks.of("aws:ec2/instance:Instance") if "snapshots" in m.inputs["rootBlockDevice"]["tags"]
    }
    (volume,) = mocks.of(VOLUME)
    assert "services-ap-northeast-1-instance" not in marked and volume.inputs["tags"]["snapshots"] == "prod"


def test_data_disk_is_created_in_the_zone_of_an_existing_subnet(monkeypatch):
    monkeypatch.setattr(Mocks, "subnet_zone", "ap-northeast-1c")
    monkeypatch.setattr(Mocks, "zones", {"ap-northeast-1c": Mocks.offered})
    place = {"ap-northeast-1": {"vpc": "vpc-0a", "subnet": "subnet-0b"}}
    (volume,) = run_program(config(networks=place)).of(VOLUME)
    assert volume.inputs["availabilityZone"] == "ap-northeast-1c"


REFUSED = {
    "smaller": (on(dataDisk={"size": 40}), disk_state(), "dataDisk.size is 40, and the data disk of host services has 50"),
    "gone": (on(dataDisk=None), disk_state(), "host services has its data on vol-1 (50 GiB), and infra:hosts.services.d"),
    "in another zone": (
        config(availabilityZones={"ap-northeast-1": "ap-northeast-1a"}), disk_state(zone="ap-northeast-1c"),
        "the data disk of host services is in ap-northeast-1c, and the machine would be in ap-northeast-1a",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("values", "state", "said"), REFUSED.values(), ids=REFUSED)
def test_update_that_would_detach_data_is_refused(values, state, said):
    values["infra:hosts"]["services"] = {k: v for k, v in values["infra:hosts"]["services"].items() if v is not None}
    with pytest.raises(pulumi.RunError) as refused:
        run_program(values, state)
    assert str(refused.value).startswith("nothing was touched: ") and said in str(refused.value)


def test_disk_is_kept_when_enlarged_or_its_machine_is_lost(monkeypatch):
    monkeypatch.setattr(program.Mocks, "lost", frozenset({"i-1"}))
    mocks, options = options_of(monkeypatch, on(dataDisk={"size": 80}), disk_state())
    (volume,) = mocks.of(VOLUME)
    assert volume.inputs["size"] == 80
    # Only the machine is replaced
    assert options["services-ap-northeast-1-instance"].replacement_trigger == "i-1"
    assert options[NAME].replacement_trigger is None


def test_the_state_has_the_disks():
    assert read(disk_state()).disks == {"ap-northeast-1": {"services": Disk("vol-1", 50, "ap-northeast-1a")}}


def test_the_policy_and_the_preview_know_all_that_such_a_stack_has():
    resources = [Resource(m.typ, m.name, m.inputs) for m in run_program(config()).made if m.typ.startswith("aws:")]
    facts = Facts("prod", resources, limits=LIMITS)
    assert [*untagged(facts), *volumes(facts)] == []
    assert {resource.type for resource in resources} - kinds().keys() == set()
