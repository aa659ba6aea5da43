"""`infra host replace`: what each of its words makes of a host's machines, whatever was begun before."""

from typing import Any

import pytest

from catalogue.host import Ec2Host
from infra.errors import InfraError
from infra.move import replacing
from infra.move.phases import Phase
from infra.move.replacing import Aim, Machines, ReplaceRequest, back, forward, machines, settled_aim, types
from tests.support import stack

TOKYO = "ap-northeast-1"
LARGE, XLARGE = "t4g.large", "t4g.xlarge"
SPEC = Ec2Host.model_validate({"systems": ["watchme"], "instanceType": LARGE})


def of(
    serving: int, wanted: int, kept: list[int], there: dict[int, str], wanted_kept: list[int] | None = None
) -> Machines:
    return Machines(TOKYO, serving, wanted, kept, kept if wanted_kept is None else wanted_kept, there)


FIRST = of(1, 1, [], {1: LARGE})
BEGUN = of(1, 2, [], {1: LARGE, 2: XLARGE}, [1])
DONE = of(2, 2, [1], {1: LARGE, 2: XLARGE})
GOING_BACK = of(2, 1, [1], {1: LARGE, 2: XLARGE}, [2])


def test_new_machine_gets_an_unused_generation():
    assert forward(FIRST, SPEC, XLARGE, keep=True) == Aim(2, XLARGE, {1: LARGE})
    assert forward(FIRST, SPEC, "", keep=False) == Aim(2, LARGE, {})
    assert forward(DONE, SPEC, "", keep=True) == Aim(3, LARGE, {1: LARGE, 2: XLARGE})
    # Of one that was given up something is left
    assert forward(of(1, 1, [], {1: LARGE, 2: LARGE}), SPEC, "", keep=True).generation == 3


def test_interrupted_replacement_continues_with_its_machine():
    bigger = SPEC.model_copy(update={"instanceType": XLARGE})
    assert forward(BEGUN, bigger, "", keep=True) == Aim(2, XLARGE, {1: LARGE})
    assert forward(BEGUN, bigger, XLARGE, keep=False) == Aim(2, XLARGE, {})
    with pytest.raises(InfraError, match="run without --type to continue it"):
        forward(BEGUN, bigger, "t4g.medium", keep=True)


def test_interrupted_return_continues_without_deletions():
    assert back(DONE, "watchme") == Aim(1, LARGE, {2: XLARGE})
    assert back(GOING_BACK, "watchme") == Aim(1, LARGE, {2: XLARGE})
    with pytest.raises(InfraError, match="a return to machine 1 is unfinished: --back continues it"):
        forward(GOING_BACK, SPEC, "", keep=True)


def test_cancelled_replacement_returns_to_the_last_complete_update():
    assert settled_aim(BEGUN, "watchme") == Aim(1, LARGE, {})
    assert settled_aim(GOING_BACK, "watchme") == Aim(2, XLARGE, {1: LARGE})
    with pytest.raises(InfraError, match="nothing to cancel"):
        settled_aim(DONE, "watchme")
    with pytest.raises(InfraError, match="run without --back to continue it, or with --give-up to cancel it"):
        back(BEGUN, "watchme")


def test_missing_machine_is_reported_in_one_line():
    lost = of(1, 1, [], {})
    assert forward(lost, SPEC, "", keep=True) == Aim(2, LARGE, {})
    with pytest.raises(InfraError, match="keeps no earlier machine"):
        back(of(2, 2, [1], {2: XLARGE}), "watchme")
    with pytest.raises(InfraError, match=r"machine 1 of watchme no longer exists: .*lost-host\.md"):
        settled_aim(of(1, 2, [], {2: XLARGE}), "watchme")


def test_unknown_instance_type_is_refused_with_the_known_ones():
    with pytest.raises(InfraError, match=r"--type t9z\.huge is not known; known types: .*t4g\.large"):
        forward(FIRST, SPEC, "t9z.huge", keep=True)


@pytest.fixture
def known(monkeypatch) -> dict[str, Any]:
    found: dict[str, Any] = {"region": TOKYO, "generations": {}, "kept": {}}
    monkeypatch.setattr(replacing, "outputs", lambda _: found)
    urn = f"urn:pulumi:prod::infra::infra:index:Host$aws:ec2/instance:Instance::watchme-{TOKYO}-instance"
    entry = {"urn": urn, "type": replacing.INSTANCE, "id": "i-1", "inputs": {"instanceType": LARGE}}
    state = {
        "deployment": {"resources": [entry, {**entry, "urn": urn.replace("-instance", "-g2-instance"), "id": "i-2"}]}
    }
    monkeypatch.setattr(replacing, "export_state", lambda _: state)
    return found


def test_machines_are_read_from_outputs_and_state(known):
    assert machines(stack(), "watchme") == of(1, 1, [], {1: LARGE, 2: LARGE}, [])
    assert types(replacing.export_state("prod"), "watchme", "ap-southeast-2") == {}


def test_foreign_or_unsettled_machine_is_refused_in_one_line(known):
    with pytest.raises(InfraError, match="has no host 'x'; hosts: watchme"):
        machines(stack(), "x")
    known["region"] = "ap-southeast-2"
    with pytest.raises(InfraError, match="a move of stack prod from ap-southeast-2 to ap-northeast-1 is unfinished"):
        machines(stack(), "watchme")
    known |= {"region": TOKYO, "generations": {"watchme": 2}}
    with pytest.raises(
        InfraError, match=r"generation is 1 in Pulumi\.prod\.yaml, but the last update left machine 2 serving"
    ):
        machines(stack(), "watchme")


def test_command_of_each_request_is_reproduced():
    assert [f"infra host replace watchme{request}" for request in ReplaceRequest] == [
        "infra host replace watchme", "infra host replace watchme --back", "infra host replace watchme --give-up",
    ]  # fmt: skip


def test_deleted_machines_are_named_by_host_and_generation():
    machine = Phase("retire", TOKYO, {f"watchme-{TOKYO}-instance": "delete", f"watchme-{TOKYO}-address": "delete"})
    assert str(machine) == f"retire machine {TOKYO}" and machine.deletions == ["machine 1 of watchme with its disk"]
    region = Phase("retire", TOKYO, {**machine.touches, f"network-{TOKYO}-vpc": "delete"})
    assert str(region) == f"retire {TOKYO}" and region.deletions == [TOKYO]
    rest = Phase("retire", f"{TOKYO}-g2", {f"watchme-{TOKYO}-g2-alarms-disk": "delete"})
    assert str(rest) == f"clear up {TOKYO}-g2" and rest.deletions == []
    assert Phase("gate", TOKYO, {}).deletions == []
