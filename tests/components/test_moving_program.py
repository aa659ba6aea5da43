"""The whole program under mocks when its region has changed: what it makes, and what it refuses beforehand."""

import json
import re

import pulumi
import pytest

from tests.components.program import Mocks, opened, run_program
from tests.support import LAB, ROOT

SYDNEY = "ap-southeast-2"
URN = "urn:pulumi:prod::infra::"
IN_SYDNEY = {
    f"{URN}pulumi:pulumi:Stack::infra-prod": {"type": "pulumi:pulumi:Stack", "outputs": {"region": SYDNEY}},
    f"{URN}infra:index:Host::watchme-{SYDNEY}": {
        "type": "infra:index:Host",
        "outputs": {"host": "watchme", "region": SYDNEY, "address": "127.71.0.9"},
    },
}


def steps(made: Mocks) -> list[str]:
    """The move's commands, without the attempt that their names hold."""
    made_here = [command.name for command in made.of("command:local:Command")]
    names = [name for name in made_here if not name.endswith(("-release-apply", "-ready"))]
    return [re.sub(r"\d{8}T\d{6}Z", "AT", name) for name in names]


def test_changed_region_creates_the_new_one_and_the_steps_of_a_move(monkeypatch):
    monkeypatch.chdir(ROOT)
    made = run_program(state=IN_SYDNEY)
    assert not [resource.name for resource in made.made if SYDNEY in resource.name], (
        "what is left is the engine's to delete"
    )
    assert steps(made) == [
        "images-ap-northeast-1-AT-images",
        "images-newest-ap-northeast-1-AT-images",
        "gate-ap-northeast-1-AT-gate",
        "verified-ap-northeast-1-AT-verify",
        "drained-ap-northeast-1-AT-drain",
    ]
    drain = next(command for command in made.of("command:local:Command") if command.name.endswith("-drain"))
    request = json.loads(opened(drain.inputs["stdin"]))
    assert [(entry["region"], entry["target"]["address"]) for entry in request["hosts"]] == [(SYDNEY, "127.71.0.9")]
    gate = next(command for command in made.of("command:local:Command") if command.name.endswith("-gate"))
    asked = json.loads(opened(gate.inputs["stdin"]))["urls"]["127.71.0.2"]
    # The scheduler starts only where the name points: it cannot be asked for before
    assert len(asked) == 12 and not any("scheduler" in url for url in asked)


def with_data(monkeypatch, state, **values):
    """The program of a stack whose host has the Whisper backend and its data."""
    monkeypatch.chdir(ROOT)
    keys = {
        "infra:hostPublicKeys": {"services": "ssh-ed25519 BBBB host"},
        "infra:hostPrivateKeys": {"services": "PRIVATE-HOST-KEY"},
    }
    return run_program({**keys, "infra:hosts": {"services": LAB["infra:hosts"]["services"]}, **values}, state)


SERVICES_IN_SYDNEY = {
    f"{URN}pulumi:pulumi:Stack::infra-prod": {"type": "pulumi:pulumi:Stack", "outputs": {"region": SYDNEY}},
    f"{URN}infra:index:Host::services-{SYDNEY}": {
        "type": "infra:index:Host",
        "outputs": {"host": "services", "region": SYDNEY, "address": "127.71.0.9"},
    },
}


def test_data_comes_after_the_gate_and_before_the_names(monkeypatch):
    made = with_data(monkeypatch, SERVICES_IN_SYDNEY)
    order = steps(made)
    first = order.index("gate-ap-northeast-1-AT-gate")
    assert order[first + 1 : first + 3] == [
        "data-services-ap-northeast-1-AT-data",
        "verified-ap-northeast-1-AT-verify",
    ]
    step = next(command for command in made.of("command:local:Command") if command.name.endswith("-data"))
    request = json.loads(opened(step.inputs["stdin"]))
    assert request["target"]["address"] == "127.71.0.2" and request["others"][SYDNEY]["address"] == "127.71.0.9"
    # All systems of a host as a whole: none is left behind by a failure of another
    entry = request["entry"]
    assert entry["paths"] == ["/opt/whisper/uploads"] and "whisper" in entry["what"] and entry["units"]
    gate = next(command for command in made.of("command:local:Command") if command.name.endswith("-gate"))
    resting = json.loads(opened(gate.inputs["stdin"]))["resting"]
    assert any("whisper" in url for url in resting)


def test_artefacts_move_where_no_container_runs(monkeypatch):
    made = with_data(monkeypatch, SERVICES_IN_SYDNEY)
    step = next(command for command in made.of("command:local:Command") if command.name.endswith("-images"))
    request = json.loads(opened(step.inputs["stdin"]))
    assert request["target"]["address"] == "127.71.0.2"
    assert {image["repository"] for image in request["images"]} == {"whisper-backend", "whisper-models", "recall-api"}


@pytest.mark.parametrize("why", ["it is to be left", "the move was made by an earlier version", "no other host has it"])
def test_data_that_is_not_to_come_has_no_step(monkeypatch, why):
    values, state = {}, dict(SERVICES_IN_SYDNEY)
    if why == "it is to be left":
        values = {"infra:moveData": False}
    elif why == "no other host has it":
        state = {}
    else:
        done = {"region": "ap-northeast-1", "standby": [SYDNEY], "move": {"at": "20260101T000000Z", "source": SYDNEY}}
        state[f"{URN}pulumi:pulumi:Stack::infra-prod"] = {"type": "pulumi:pulumi:Stack", "outputs": done}
        values = {"infra:standbyRegions": [SYDNEY]}
    assert not [name for name in steps(with_data(monkeypatch, state, **values)) if name.endswith("-data")]


def test_data_step_stays_after_the_old_region_is_retired(monkeypatch):
    """As the other steps do: else the next preview would have a change."""
    done = {"at": "20260101T000000Z", "source": SYDNEY, "data": ["services"]}
    outputs = {"region": "ap-northeast-1", "standby": [], "move": done}
    state = {f"{URN}pulumi:pulumi:Stack::infra-prod": {"type": "pulumi:pulumi:Stack", "outputs": outputs}}
    assert "data-services-ap-northeast-1-AT-data" in steps(with_data(monkeypatch, state))


def test_standby_region_is_created_and_not_retired(monkeypatch):
    monkeypatch.chdir(ROOT)
    made = run_program({"infra:standbyRegions": [SYDNEY]}, IN_SYDNEY)
    assert {instance.name for instance in made.of("aws:ec2/instance:Instance")} == {
        "watchme-ap-northeast-1-instance",
        f"watchme-{SYDNEY}-instance",
    }
    assert f"images-{SYDNEY}-images" in steps(made) and not any("drain" in name for name in steps(made))
    assert len(made.of("aws:route53/record:Record")) == 1


def test_images_that_are_nowhere_are_all_named_before_anything_is_made(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(Mocks, "tags", ["old"])
    with pytest.raises(pulumi.RunError) as error:
        run_program(state=IN_SYDNEY)
    assert "nothing was touched: 13 images neither in ap-southeast-2 nor in ap-northeast-1" in str(error.value)
    assert str(error.value).count("uv run infra push watchme-") == 13


def test_stack_with_shared_repositories_moves_after_their_owner(monkeypatch):
    """Two stacks that move at once: the one that owns the images goes first."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(Mocks, "empty", "ap-northeast-1")
    with pytest.raises(pulumi.RunError) as error:
        run_program({"infra:sharedRepositories": True}, IN_SYDNEY)
    assert "13 images not in ap-northeast-1" in str(error.value) and "move that one first" in str(error.value)


def test_a_region_without_the_machine_is_refused(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(Mocks, "offered", [])
    with pytest.raises(pulumi.RunError) as error:
        run_program(state=IN_SYDNEY)
    assert "nothing was touched: ap-northeast-1 does not offer t4g.large" in str(error.value)


def test_images_are_copied_by_a_role_that_may_do_nothing_else(monkeypatch):
    monkeypatch.chdir(ROOT)
    made = run_program(state=IN_SYDNEY)
    (policy,) = [entry for entry in made.of("aws:iam/rolePolicy:RolePolicy") if entry.name == "copier-policy"]
    login, copying = json.loads(policy.inputs["policy"])["Statement"]
    assert (login["Action"], login["Resource"]) == ("ecr:GetAuthorizationToken", "*")
    assert all(action.startswith("ecr:") and "Delete" not in action for action in copying["Action"])
    names = [arn.rsplit("/", 1)[-1] for arn in copying["Resource"]]
    assert sorted(names) == sorted(entry.inputs["name"] for entry in made.of("aws:ecr/repository:Repository"))
    commands = [entry for entry in made.of("command:local:Command") if entry.name.endswith("-images")]
    assert {json.loads(opened(entry.inputs["stdin"]))["role"] for entry in commands} == {"arn:copier-role"}


def test_a_stack_that_never_moved_has_no_such_role(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert not [entry for entry in run_program().made if entry.name.startswith("copier")]
