"""A machine that is gone in AWS: the next update makes a new one, and no later one does it again."""

import pulumi
import pytest

from components import lookup
from components.before import Machine, read
from tests.components import program
from tests.components.program import Mocks, machine_state, run_program
from tests.support import ROOT, stack

# What the last update left, which machines are gone, and what the engine is to replace for
UPDATES = {
    "the first update": ({}, set(), "nothing"),
    "it is there": (machine_state("i-1"), set(), "nothing"),
    "it is gone": (machine_state("i-1"), {"i-1"}, "i-1"),
    "the new one is there": (machine_state("i-2", "i-1"), set(), "i-1"),
    "an update that made none": (machine_state("i-1", ""), {"i-1"}, "i-1"),
    "a host that left the configuration": (machine_state("i-9", host="old"), {"i-9"}, "nothing"),
    "the new one is gone too": (machine_state("i-2", "i-1"), {"i-2"}, "i-2"),
}


@pytest.mark.parametrize(("before", "lost", "trigger"), UPDATES.values(), ids=UPDATES)
def test_the_engine_is_informed_of_a_lost_machine_until_another_is_lost(before, lost, trigger, monkeypatch):
    """It replaces what has another trigger than it noted down with it; a first one replaces nothing."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(Mocks, "lost", frozenset(lost))
    options, warnings = [], []
    made = program.pulumi.CustomResource.__init__

    def init(self, kind, name, *args, **kwargs):
        if kind == "aws:ec2/instance:Instance":
            options.append(kwargs.get("opts") or args[1])
        made(self, kind, name, *args, **kwargs)

    monkeypatch.setattr(pulumi.CustomResource, "__init__", init)
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_, **__: warnings.append(text))
    run_program(state=before)
    (option,) = options
    assert option.replacement_trigger == trigger
    said = [text for text in warnings if "is gone" in text]
    ours = [id for id in lost if id != "i-9"]
    assert said == [f"watchme: its machine {id} is gone in ap-northeast-1: a new one replaces it" for id in ours]


def test_machines_and_their_predecessors_are_read_from_the_state():
    assert read(machine_state("i-2", "i-1")).machines == {"ap-northeast-1": {"watchme": Machine("i-2", "i-1")}}
    assert read(machine_state("i-1")).machines == {"ap-northeast-1": {"watchme": Machine("i-1")}}


def test_a_refusal_of_aws_is_one_line(monkeypatch):
    monkeypatch.chdir(ROOT)

    def refused(**_):
        raise Exception("invoking aws:ec2/getInstances:getInstances: 1 error occurred: UnauthorizedOperation")

    monkeypatch.setattr(lookup.aws.ec2, "get_instances", refused)
    with pytest.raises(
        pulumi.RunError, match=r"machines of ap-northeast-1: .*check the permission ec2:DescribeInstances"
    ):
        lookup.replaced_machines(stack(), {"ap-northeast-1": {"watchme": Machine("i-1")}}, pulumi.InvokeOptions())
