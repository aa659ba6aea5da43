"""An update that would repeat what a killed one was creating: refused; a preview warns."""

import contextlib
import json
import subprocess

import pulumi
import pytest

from components import pending_operations
from components.pending_operations import creations
from tests.orphans.world import STACK, operation, state

VPC = "aws:ec2/vpc:Vpc"


def test_interrupted_creations_are_read_from_the_state():
    kept = state(operation(VPC, {}), operation(VPC, {}), operation("command:local:Command", {}, "x-ready"))
    assert creations(kept) == [("Vpc", VPC), ("x-ready", "command:local:Command")]
    assert creations({}) == creations(state()) == []


class Asked(subprocess.Popen):
    """`pulumi stack export` that says something, or nothing at all."""

    def __init__(self, said: str | None, complaint: str = "") -> None:
        self.said, self.complaint, self.is_killed, self.returncode = said, complaint, False, 0

    def communicate(self, input=None, timeout=None):
        if self.said is None:
            raise subprocess.TimeoutExpired("pulumi", timeout or 0)
        return self.said, self.complaint

    def kill(self) -> None:
        self.is_killed = True


@pytest.fixture
def engine_says(monkeypatch):
    warned: list[str] = []
    monkeypatch.setattr(pending_operations.pulumi, "get_stack", lambda: STACK)
    monkeypatch.setattr(pending_operations.pulumi.log, "warn", warned.append)
    monkeypatch.setattr(pending_operations.pulumi.runtime, "is_dry_run", lambda: False)
    return warned


def test_an_update_refuses_to_repeat_a_creation(engine_says):
    kept = json.dumps(state(*(operation(VPC, {}, f"vpc-{number}") for number in range(5))))
    with pytest.raises(
        pulumi.RunError, match=r"nothing was touched: .* creating vpc-0, vpc-1, vpc-2 and 2 more: AWS may"
    ):
        pending_operations.refuse(Asked(kept))


def test_a_preview_only_warns_and_commands_are_no_reason(engine_says, monkeypatch):
    pending_operations.refuse(Asked(json.dumps(state(operation("command:local:Command", {}, "ready")))))
    assert (
        "are commands, which run again; uv run infra orphans --adopt --stack prod removes this warning"
        in engine_says.pop()
    )
    monkeypatch.setattr(pending_operations.pulumi.runtime, "is_dry_run", lambda: True)
    pending_operations.refuse(Asked(json.dumps(state(operation(VPC, {})))))
    assert "First: uv run infra orphans --adopt --stack prod" in engine_says.pop()


def test_update_continues_without_interrupted_creations(engine_says):
    pending_operations.refuse(Asked(json.dumps(state())))
    pending_operations.refuse(None)
    assert engine_says == []


@pytest.mark.parametrize("said", ["", "[]", '{"deployment": {"pending_operations": [{"type": "creating"}]}}'])
def test_update_is_refused_when_the_state_is_unreadable(engine_says, monkeypatch, said):
    """A preview changes nothing, and goes on."""
    with pytest.raises(
        pulumi.RunError, match=r"nothing was touched: it is unknown whether .*: pulumi stack export: error: no access"
    ):
        pending_operations.refuse(Asked(said, "warning: one\nerror: no access\n"))
    monkeypatch.setattr(pending_operations.pulumi.runtime, "is_dry_run", lambda: True)
    pending_operations.refuse(Asked(said))
    assert "pulumi stack export: no readable output. Run again" in engine_says.pop()


@pytest.mark.parametrize(("torn", "is_refused"), [(1, False), (2, False), (3, True)])
def test_a_state_that_is_being_written_is_read_again(engine_says, monkeypatch, torn, is_refused):
    """The update's own engine writes it: a read in the middle of that is no reason to refuse."""
    answers = [*[Asked("", "error: failed to load checkpoint: EOF")] * torn, Asked(json.dumps(state()))]
    monkeypatch.setattr(pending_operations, "PAUSE", 0)
    monkeypatch.setattr(pending_operations, "ask", lambda: answers.pop(0))
    with pytest.raises(pulumi.RunError, match="EOF") if is_refused else contextlib.nullcontext():
        pending_operations.refuse(pending_operations.ask())
    assert engine_says == []


def test_a_backend_that_does_not_answer_ends_the_update(engine_says):
    asked = Asked(None)
    with pytest.raises(pulumi.RunError, match="did not end within 60 s"):
        pending_operations.refuse(asked)
    assert asked.is_killed


@pytest.mark.parametrize(("organization", "asked"), [("organization", STACK), ("acme", f"acme/infra/{STACK}")])
def test_a_stack_of_an_organization_is_asked_for_by_its_whole_name(engine_says, monkeypatch, organization, asked):
    ran: list[list[str]] = []
    monkeypatch.setattr(pending_operations, "get_monitor", lambda: None)
    monkeypatch.setattr(pending_operations.pulumi, "get_organization", lambda: organization)
    monkeypatch.setattr(pending_operations.pulumi, "get_project", lambda: "infra")
    monkeypatch.setattr(pending_operations.subprocess, "Popen", lambda argv, **_: ran.append(argv))
    pending_operations.ask()
    assert ran == [["pulumi", "stack", "export", "--stack", asked, "--non-interactive"]]


def test_an_engine_that_is_not_on_the_path_is_only_warned_of(engine_says, monkeypatch):
    monkeypatch.setattr(pending_operations, "get_monitor", lambda: None)
    monkeypatch.setattr(pending_operations.pulumi, "get_organization", lambda: "organization")
    monkeypatch.setenv("PATH", "/nowhere")
    assert pending_operations.ask() is None and engine_says.pop().endswith(
        "while creating a resource: pulumi is not on PATH"
    )
