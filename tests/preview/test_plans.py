"""What changed since a plan was approved, and which part of its fingerprint that is."""

import json

import pytest

from infra import notes
from infra.errors import InfraError
from infra.preview import plans
from infra.preview.compare import differing
from infra.preview.files import FileChange
from infra.preview.formats import as_json
from infra.preview.graph import Step
from infra.preview.hosts import HostChange
from infra.preview.report import Report, StackReport
from infra.preview.snapshot import code_of

URN = "urn:pulumi:prod::infra::aws:ec2/instance:Instance::"


def report(*steps: Step, files=(), fingerprint: str = "mocks-1-2-3-5", said=(), **more) -> Report:
    host = HostChange("watchme", "changed", [FileChange(path, "changed", diff) for path, diff in files])
    return Report(
        "0" * 40,
        "head",
        [StackReport("prod", fingerprint, steps=list(steps), hosts=[host], hosts_say=list(said), **more)],
    )


def plan(*args, **named):
    return json.loads(as_json.text(report(*args, **named)))["stacks"][0]


NOTHING = as_json.digest(None)
SIZES = [as_json.digest({"instanceType": type}) for type in ("t4g.large", "t4g.xlarge")]
LARGER = f"m: update (instanceType) [{SIZES[0]}] → update (instanceType) [{SIZES[1]}]"
CASES = {
    "nothing": (plan(), plan(), []),
    "a step more": (plan(), plan(Step(f"{URN}m", "delete")), [f"m: nothing → delete [{NOTHING}]"]),
    "another step": (
        plan(Step(f"{URN}m", "update", ("tags",))),
        plan(Step(f"{URN}m", "replace", ("ami",))),
        [f"m: update (tags) [{NOTHING}] → replace (ami) [{NOTHING}]"],
    ),
    "the same step with another value": (
        plan(Step(f"{URN}m", "update", ("instanceType",), new={"instanceType": "t4g.large"})),
        plan(Step(f"{URN}m", "update", ("instanceType",), new={"instanceType": "t4g.xlarge"})),
        [LARGER],
    ),
    "a file": (plan(files=[("/a", ("+1",))]), plan(files=[("/a", ("+2",))]), ["watchme:/a: changes differently"]),
    "a file more": (plan(), plan(files=[("/a", ("+1",))]), ["watchme:/a: now changes"]),
    "a file less": (plan(files=[("/a", ("+1",))]), plan(), ["watchme:/a: no longer changes"]),
    "by hand": (plan(), plan(said=["watchme: /a was edited"]), ["watchme: /a was edited"]),
}


@pytest.mark.parametrize(("before", "now", "said"), CASES.values(), ids=CASES)
def test_changes_since_the_approved_plan_are_named(before, now, said):
    assert plans.changes(before, now) == said


def test_which_part_of_a_fingerprint_differs():
    assert differing("live-1-2-3-5", "live-1-9-3-5") == ["the steps of the resources"]
    assert differing("live-1-2-3-5", "mocks-1-2-4-5") == ["its source", "the hosts' present state"]
    assert differing("live-1-2-3-5", "live-1-2-3-6") == ["the program"]
    assert differing("nonsense", "live-1-2-3-5") == ["the fingerprint's format"]


@pytest.fixture
def previewing(monkeypatch, tmp_path):
    """`infra up` with a preview that a test gives; what it runs is kept instead."""
    ran: list[list[str]] = []
    for module in (plans, notes):
        monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    monkeypatch.setattr(plans.orphans, "settle", lambda stack, say: None)
    monkeypatch.setattr(plans.unlocking, "describe", lambda stack: "")

    class Done:
        returncode = 0

    monkeypatch.setattr(
        plans.subprocess, "run", lambda argv, env, **_: ran.append([*argv, env["INFRA_APPROVED_IMAGES"]]) or Done
    )

    def preview(made: Report) -> list[list[str]]:
        monkeypatch.setattr(plans.command, "build_report", lambda *_, **__: made)
        return ran

    return preview


def test_the_approved_plan_is_done(previewing):
    ran = previewing(report(images={"web:latest": "sha256:1"}))
    assert plans.up("prod", "mocks-1-2-3-5", "HEAD") == 0
    (words,) = ran
    assert words[:-1] == ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--stack", "prod"]
    assert json.loads(words[-1]) == {"web:latest": "sha256:1"}


REFUSED = {
    "another": (
        report(fingerprint="mocks-1-9-3-5"),
        "mocks-1-2-3-5",
        r"no longer do what plan mocks-1-2-3-5 says: the steps of the resources changed since",
    ),
    "it does not validate": (
        report(error="error: files: port"),
        "mocks-1-2-3-5",
        "nothing was touched: error: files: port",
    ),
    "a live one from where nothing can be asked": (
        report(),
        "live-1-2-3-5",
        r"is a live one, but stack prod is not reachable",
    ),
    "no fingerprint": (report(), "yesterday", "is not a fingerprint"),
}


@pytest.mark.parametrize(("made", "approved", "said"), REFUSED.values(), ids=REFUSED)
def test_plan_that_differs_from_the_approved_one_is_refused(previewing, made, approved, said):
    ran = previewing(made)
    with pytest.raises(InfraError, match=said):
        plans.up("prod", approved, "HEAD")
    assert ran == []


def test_locked_stack_is_refused_before_anything_is_looked_at(previewing, monkeypatch):
    ran = previewing(report())
    monkeypatch.setattr(plans.unlocking, "describe", lambda stack: f"stack {stack} is locked by ci@runner")
    monkeypatch.setattr(plans.command, "build_report", lambda *_, **__: pytest.fail("a preview was made"))
    with pytest.raises(InfraError, match=r"^nothing was touched: stack prod is locked by ci@runner$"):
        plans.up("prod", "mocks-1-2-3-5", "HEAD")
    assert ran == []


def test_refusal_names_changes_since_the_stored_plan(previewing, tmp_path):
    previewing(report(fingerprint="mocks-1-9-3-5", files=[("/a", ("+1",))]))
    plans.keep(report())
    with pytest.raises(InfraError, match=r"watchme:/a: now changes"):
        plans.up("prod", "mocks-1-2-3-5", "HEAD")


@pytest.mark.parametrize(
    "path", ["infra/deliver.py", "components/release.py", "agent/health.py", "uv.lock", "policy/new.yaml"]
)
def test_changed_code_makes_another_plan(tmp_path, path):
    for folder in ("infra", "components", "agent", "policy"):
        (tmp_path / folder).mkdir()
    before = code_of(tmp_path)
    assert before == code_of(tmp_path)
    (tmp_path / path).write_text("import this\n")
    assert before != code_of(tmp_path)


def test_generated_files_do_not_change_the_plan(tmp_path):
    (tmp_path / "policy/venv/lib").mkdir(parents=True)
    before = code_of(tmp_path)
    (tmp_path / "policy/venv/lib/a.py").write_text("import this\n")
    assert before == code_of(tmp_path)
