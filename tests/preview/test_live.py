"""What Pulumi's own preview becomes; no Pulumi here."""

import json
from subprocess import CompletedProcess

import pytest

from catalogue.problems import Problem
from infra import git, hosts, pulumi
from infra.errors import InfraError
from infra.preview import commits, live
from infra.preview.groups import compare_groups, mark_spread
from infra.preview.hosts import compare_hosts
from infra.preview.images import serving_digests
from infra.preview.live import _complaint, machines_before, news, steps
from infra.preview.snapshot import hosts_of, image_digests
from tests.catalogue.shop import read_shop
from tests.groups.shop import HOST, spread_web
from tests.support import digests, execute, whole

URN = "urn:pulumi:prod::infra::aws:ec2/instance:Instance::watchme-ap-northeast-1-instance"


def entry(op: str, urn: str = URN, old=None, new=None, **more):
    return {
        "op": op, "urn": urn, **({"oldState": {"inputs": old}} if old is not None else {}),
        **({"newState": {"inputs": new}} if new is not None else {}), **more,
    }  # fmt: skip


def test_step_is_shown_with_its_changed_inputs():
    (step,) = steps([entry("update", old={"a": 1}, new={"a": 2}, diffReasons=["a"])])
    assert (step.op, step.changed, step.because) == ("update", ("a",), ())


def test_only_differing_parts_of_an_input_count_as_changed():
    """Where Pulumi names the whole of it alone: a tag of a disk makes no disk larger."""
    disk = {"volumeSize": 20, "tags": {"system": "shop"}}
    other = {**disk, "tags": {"system": "shop+shop-staging"}}
    (step,) = steps(
        [
            entry(
                "update", old={"rootBlockDevice": disk}, new={"rootBlockDevice": other}, diffReasons=["rootBlockDevice"]
            )
        ]
    )
    assert step.changed == ("rootBlockDevice.tags",)


def test_replacement_is_one_step():
    several = [
        entry("create-replacement", new={"ami": "b"}, replaceReasons=["subnetId"], detailedDiff={"subnetId": {}}),
        entry("replace", new={"ami": "b"}, replaceReasons=["subnetId"], detailedDiff={"subnetId": {}}),
        entry("delete-replaced", old={"ami": "a"}),
    ]
    (step,) = steps(several)
    assert (step.op, step.because) == ("replace", ("subnetId",)) and step.danger.startswith("its disk is lost")


def test_unchanged_and_internal_steps_are_left_out():
    quiet = [
        entry("same"),
        entry("read"),
        entry("refresh"),
        entry("update", "urn:pulumi:prod::infra::infra:index:Release::r"),
    ]
    assert list(steps(quiet)) == []


def test_an_attempt_of_a_move_is_the_same_plan_at_any_time():
    def gate(at: str):
        return entry(
            "create", f"urn:pulumi:prod::infra::command:local:Command::gate-ap-northeast-1-{at}-gate", new={"x": at}
        )

    assert list(steps([gate("20261121T200000Z")])) == list(steps([gate("20261122T200000Z")]))


AFTER = {"watchme": ["t4g.xlarge", 30], "new": ["t4g.small", 10]}
OLD = {"instanceType": "t4g.large", "rootBlockDevice": {"volumeSize": 20}}


def machine(op: str, host: str, **states):
    return entry(op, URN.replace("watchme-", f"{host}-"), **states)


def test_existing_machines_exclude_created_ones():
    taken = list(
        steps(
            [
                machine("update", "watchme", old=OLD, new={}),
                machine("create", "new", new={}),
                machine("delete", "gone", old=OLD),
            ]
        )
    )
    before = machines_before(AFTER, "ap-northeast-1", taken)
    assert before == {"watchme": ["t4g.large", 20], "gone": ["t4g.large", 20]} and len(AFTER) == 2


def test_a_move_changes_nothing_of_the_machines_before():
    taken = list(steps([machine("create", "watchme", new={})]))
    assert machines_before(AFTER, "ap-southeast-2", taken) == AFTER


def test_a_machine_that_is_kept_is_not_taken_for_the_hosts_own():
    """A change of its tags says nothing of the one that serves."""
    after = {"watchme": ["t4g.xlarge", 30], "watchme 1": ["t4g.large", 30]}
    disk = {"rootBlockDevice": {"volumeSize": 30}}
    own = entry("update", URN.replace("-instance", "-g2-instance"), old={"instanceType": "t4g.xlarge", **disk}, new={})
    kept = entry("update", old={"instanceType": "t4g.large", **disk}, new={})
    assert machines_before(after, "ap-northeast-1", list(steps([own, kept]))) == after
    made = entry("create", URN.replace("-instance", "-g2-instance"), new={})
    gone = entry("delete", old={"instanceType": "t4g.large", **disk})
    assert machines_before({"watchme": ["t4g.xlarge", 30]}, "ap-northeast-1", list(steps([made, gone]))) == {
        "watchme": ["t4g.large", 30]
    }


def test_only_new_warnings_are_shown():
    standing = Problem("files/systems/watchme.yaml", "memory", "1g", "at least 1536m", "warning")
    always, now = "files/systems/watchme.yaml: memory: 1g; at least 1536m", "its machine i-1 is gone"
    assert news([always, now], [standing]) == [now]


def previewed(monkeypatch, code: int, **said) -> pulumi.PreviewResult:
    done = CompletedProcess([], code, json.dumps(said), "")
    monkeypatch.setattr(pulumi, "attempt", lambda *_: done)
    return pulumi.preview("--stack", "prod")


def spoken(severity: str, message: str) -> dict[str, str]:
    return {"severity": severity, "message": message}


def test_warnings_of_a_preview_are_shown_once(monkeypatch):
    said = [spoken("warning", "gone\n"), spoken("info", "hello"), spoken("warning", "gone\n"), spoken("warning", "\n")]
    assert previewed(monkeypatch, 0, steps=[], diagnostics=said).warnings == ["gone"]


def test_failed_preview_reports_every_error(monkeypatch):
    with pytest.raises(InfraError, match="nothing was touched\nan update failed"):
        previewed(
            monkeypatch, 255, diagnostics=[spoken("error", "nothing was touched"), spoken("info", "an update failed")]
        )


SPOILED = [None, 5, "x", [], {}, [5], [None], [{}], [[]], {"a": 5}]


def the_first_of_a_group(root):
    box = {"box": {**HOST, "kind": "ec2", "systems": ["shop"], "count": 3}}
    return read_shop(root, "shop", change=spread_web, hosts=box), "box"


@pytest.mark.parametrize("stack", [lambda _: (whole(), "watchme"), the_first_of_a_group], ids=["alone", "group"])
def test_malformed_answer_of_a_host_does_not_end_the_preview(tmp_path, stack):
    """Part by part of a true one is something else: it is named, or can be compared."""
    catalogue, name_of_host = stack(tmp_path)
    host = hosts_of(catalogue, image_digests(catalogue), b"key")[name_of_host]
    answer = {"manifest": host["manifest"], "files": host["files"]}
    assert _complaint(answer) == ""
    named = set()
    for key, true in answer["manifest"].items():
        for spoiled in ["", *SPOILED]:
            manifest = {name: value for name, value in answer["manifest"].items() if name != key or spoiled != ""}
            manifest |= {} if spoiled == "" else {key: spoiled}
            if isinstance(true, list) and true and spoiled not in ("", [], None):
                manifest[key] = [*true, *(spoiled if isinstance(spoiled, list) else [spoiled])]
            if manifest.get("memory", "") != true and key == "memory":
                # Its form is held against it before
                continue
            said = _complaint({**answer, "manifest": manifest})
            if said:
                named.add(key)
                assert said.startswith("its report of its release cannot be read ("), said
                continue
            before, after = {name_of_host: {**host, "manifest": manifest}}, {name_of_host: host}
            mark_spread(compare_hosts(before, after), [*compare_groups(before, after, ({}, {}))], before, after)
            serving_digests(manifest)
    assert named >= {"files", "links", "probes", "containers", "units", "environment_files"}, named


def test_no_text_of_a_host_begins_a_line(monkeypatch):
    catalogue = whole()
    made = hosts_of(catalogue, {name: {":latest": f"sha256:{0:064}"} for name in digests()}, b"key")["watchme"]
    answer = {"release": "a\n::error::x", "manifest": made["manifest"], "files": made["files"], "drift": []}
    outputs = {"addresses": {"watchme": "192.0.2.1"}, "releases": {"watchme": {"id": "b" * 64}}}
    monkeypatch.setattr(hosts, "outputs", lambda _: outputs)
    monkeypatch.setattr(hosts, "targets_at", lambda *_: {"watchme": None})
    monkeypatch.setattr(live, "_ask_host", lambda _: answer)
    _, said, unbound = live._hosts(catalogue)
    assert (
        said == [r"watchme serves a\n::error::; the last update of the stack deployed bbbbbbbbbbbb"] and unbound == []
    )


def test_link_out_of_a_commit_is_left_out(tmp_path, monkeypatch):
    repository = tmp_path / "repository"
    (repository / "docs").mkdir(parents=True)
    (repository / "Pulumi.yaml").write_text("name: infra")
    for name, to in {"inside": "../Pulumi.yaml", "absolute": "/etc/passwd", "out": "../../x"}.items():
        (repository / "docs" / name).symlink_to(to)
    execute("git", "init", "-q", cwd=repository)
    execute("git", "add", "-A", cwd=repository)
    execute("git", "-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-q", "-m", "x", cwd=repository)
    monkeypatch.setattr(git, "project_root", lambda: repository)
    with commits.checkout("HEAD") as tree:
        assert sorted(str(path.relative_to(tree)) for path in tree.rglob("*")) == ["Pulumi.yaml", "docs", "docs/inside"]


def test_memory_of_groups_is_that_of_the_last_update(monkeypatch):
    """Pulumi writes numbers as it likes."""
    free = {"watchme": {"watchme": 1024.0**3}}
    outputs = {"addresses": {}, "releases": {}, "groups": free}
    monkeypatch.setattr(hosts, "outputs", lambda _: outputs)
    monkeypatch.setattr(hosts, "targets_at", lambda *_: {})
    there, _, _ = live._hosts(whole())
    assert there["groups"] == free
