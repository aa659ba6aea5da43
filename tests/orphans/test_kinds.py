"""Each kind of resource, as a killed update leaves it: found by what its creation was asked with."""

import pytest

from infra.orphans import command, kinds
from lab.fakes.plain import plain_map, property_map
from tests.orphans.world import INPUTS, STACK, emulated_account, kind, operation, provider_of, state

RECORD = "aws:route53/record:Record"


@pytest.fixture(scope="module")
def built():
    """An account for tests that leave each other's resources alone."""
    with pytest.MonkeyPatch.context() as patch, emulated_account(patch) as made:
        yield made


def others(inputs: dict) -> dict:
    """What another stack, or another owner, would ask for."""
    changes = {
        "name": "other",
        "bucket": "other",
        "cidrIpv4": "10.0.0.0/8",
        "records": ["192.0.2.9"],
        "user": "other",
        "subnetId": "s-0",
    }
    changed = inputs | {key: value for key, value in changes.items() if key in inputs}
    return changed | ({"tags": {**inputs["tags"], "stack": "dev"}} if "tags" in inputs else {})


RECORDS = {
    "a text": {"type": "TXT", "records": ["of a test", 'with \\"quotes\\"']},
    "all names below one": {"name": "*.example.com", "type": "CNAME", "records": ["api.example.com"]},
    "large letters": {"name": "API2.example.com"},
}


@pytest.mark.parametrize("name", RECORDS)
def test_record_is_matched_in_the_notation_of_route_53(built, name):
    asked = built.inputs(RECORD) | RECORDS[name]
    call = built.plugin._call(f"urn:pulumi:prod::infra::{RECORD}::{name}", 60)
    id, _ = built.plugin.kinds[RECORD].create(call, plain_map(property_map(asked)))
    ask = command._asker(provider_of(RECORD))
    assert kinds.KINDS[RECORD](ask, asked) == [f"{asked['zoneId']}_{asked['name']}_{asked['type']}"] == [id]
    assert kinds.KINDS[RECORD](ask, asked | {"records": ["another"]}) == []


@pytest.mark.parametrize("type", INPUTS)
def test_resource_of_a_killed_update_is_found_and_imported(built, engine, type):
    id = built.made.get(kind(type)) or built.create_until(type)
    inputs, ask = built.inputs(type), command._asker(provider_of(type))
    assert kinds.KINDS[type](ask, inputs) == [id]
    assert kinds.KINDS[type](ask, others(inputs)) == []
    pulumi, said = engine(state(operation(type, inputs))), []
    command.settle(STACK, said.append)
    name = f"orphan-{id}" if type in kinds.LOST else kind(type)
    made = pulumi.resources[name]
    assert (made["id"], made["inputs"], pulumi.refreshed) == (id, inputs, [made["urn"]])
    assert pulumi.interrupted == [] and list(pulumi.resources) == [name]
    what = "the next update deletes it" if type in kinds.LOST else "adopted into the state"
    assert id in said[0] and what in said[0]
