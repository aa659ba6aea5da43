"""What a preview says of a data disk: what becomes of it, what it costs, and that nothing is moved onto it by itself."""

import json

from catalogue.prices import machines_of, monthly, table
from infra.preview import compare, live
from infra.preview.data import changes
from infra.preview.graph import steps
from infra.preview.snapshot import machines
from rendering.archive import manifest_of
from rendering.host import render
from tests.catalogue.changes import hosted, setting
from tests.support import catalogue, stack, unchanged

VOLUME, NAME = "aws:ebs/volume:Volume", "watchme-ap-northeast-1-data-disk"
TOKYO = "ap-northeast-1"
MOUNTED = setting("web", volumes=["/srv/web/media:/media"])


def disk(size, **inputs):
    return {
        "urn": f"urn:pulumi:prod::infra::infra:index:Host${VOLUME}::{NAME}", "type": VOLUME, "custom": True,
        "inputs": {"size": size, "encrypted": True, **inputs}, "ignores": ["availabilityZone", "encrypted"],
        "provider": "p", "propertyDependencies": {},
    }  # fmt: skip


def test_disk_grows_in_use_and_does_not_shrink():
    (step,) = steps([disk(50)], [disk(80)])
    assert (step.op, step.changed, step.danger) == ("update", ("size",), "")
    assert any("grows while it is in use" in str(note) for note in step.notes)
    assert compare.shrinking([step]) == {}
    assert compare.shrinking(steps([disk(50)], [disk(40)])) == {NAME: (50, 40)}


def test_changed_zone_does_not_replace_the_disk():
    assert steps([disk(50, availabilityZone="a")], [disk(50, availabilityZone="b")]) == []


def test_removed_disk_stays_in_aws():
    (step,) = steps([disk(50)], [])
    assert step.op == "delete" and step.danger.startswith("the disk stays in AWS with its data")


def test_price_of_the_disk_is_part_of_the_hosts():
    with_disk, without = (stack(change) for change in (hosted(dataDisk={"size": 50}), unchanged))
    prices = table().regions[TOKYO]
    more = (monthly(machines_of(with_disk), prices) or 0) - (monthly(machines_of(without), prices) or 0)
    assert round(more, 2) == round(50 * prices.disk, 2)
    assert machines(with_disk) == {name: [*entry] for name, entry in machines_of(with_disk).items()}


def test_earlier_cost_uses_the_earlier_disk():
    after = machines(stack(hosted(dataDisk={"size": 80})))
    type, root, _ = after["watchme"]
    assert live.machines_before(after, TOKYO, steps([disk(50)], [disk(80)])) == {"watchme": [type, root, 50]}
    assert live.machines_before(after, TOKYO, steps([], [disk(80)])) == {"watchme": [type, root]}
    assert live.machines_before(after, TOKYO, []) == after


def manifest(config=unchanged):
    return json.loads(json.dumps(manifest_of(render(catalogue(MOUNTED, config), "watchme")), default=str))


def test_data_on_the_root_disk_is_reported_as_staying():
    (line,) = changes(manifest(), manifest(hosted(dataDisk={"size": 50})))
    assert line.startswith("a data disk is mounted at /srv first. What is there on the root disk is not moved")
    # A new host has nothing
    assert changes(None, manifest(hosted(dataDisk={"size": 50}))) == []
