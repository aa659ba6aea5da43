"""`infra secret rotate`: another value, and those that use it restart with it, or all is as it was."""

import copy
import json
from functools import partial

import pytest
from typer.testing import CliRunner

from infra import bringing, hosts, locks, remote, rotating, rotating_hosts, secret, secret_hosts
from infra.errors import InfraError
from infra.main import app
from infra.preview import live
from rendering.archive import manifest_of
from rendering.host import render
from tests.support import catalogue, service

REGION = "ap-northeast-1"
OUTPUTS = {
    "addresses": {"watchme": "x"}, "images": {"a:1": "sha256:1"}, "region": REGION,
    "releases": {"watchme": {"id": "r1"}},
}  # fmt: skip
PATH, PLACE = "web.TOKEN", "web/TOKEN"
FILE, NEW = "config: the old one\n", "config: the new one\n"


def made(value="old"):
    def change(data):
        service(data, "web").update(environment={}, secrets=["TOKEN", "SHARED", "UNSET"])
        service(data, "admin").update(environment={}, secrets=["SHARED"])
        data["sites"][0]["basic_auth"] = {"alice": "ALICE"}

    values = {
        "web": {"TOKEN": value},
        "watchme": {"SHARED": "s", "ALICE": "p"},
        "monitor": {"webhook": "https://x.example"},
    }
    return catalogue(change, lambda config: config.update({"infra:secrets": values, "infra:sshPrivateKey": "k"}))  # fmt: skip


@pytest.fixture
def world(monkeypatch, tmp_path):
    """A stack's host, what is asked of Pulumi and how each update ends; the stack's file."""
    answer = {"release": "r1", "manifest": copy.deepcopy(manifest_of(render(made(), "watchme"))), "files": {}}
    it = type("World", (), {"outputs": OUTPUTS, "current": "r1", "contents": answer, "asked": [], "ends": []})()
    it.file, it.said, it.interrupts = tmp_path / "Pulumi.prod.yaml", [], False
    it.note = tmp_path / ".infra/deploying-prod"
    it.file.write_text(FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PULUMI_OPTION_CONFIG_FILE", raising=False)
    for module in (bringing, rotating):
        monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    monkeypatch.setattr("infra.notes.project_root", lambda: tmp_path)
    monkeypatch.setattr(hosts, "outputs", lambda stack: it.outputs)
    monkeypatch.setattr(hosts, "targets", lambda stack, host: {host: host})
    monkeypatch.setattr(hosts, "select_targets", lambda stack, outputs, host, key: {host: host})
    monkeypatch.setattr(hosts, "private_key", lambda stack: "k")
    monkeypatch.setattr(bringing, "ask", lambda target, verb: {"current": it.current, "history": []})
    monkeypatch.setattr(remote, "ask", lambda target, verb: it.contents)
    monkeypatch.setattr(bringing.run, "settle", lambda *_: None)

    def up(stack, planned, say, ask, options):
        variables = {name: json.loads(text) for name, text in options.environment.items()}
        it.asked.append((variables["INFRA_DEPLOYING"], it.file.read_text()))
        if it.interrupts:
            raise KeyboardInterrupt
        reason = it.ends.pop(0) if it.ends else ""
        locked = reason.startswith("the stack is locked")
        return type("Progress", (), {"reasons": [reason] if reason else [], "is_locked": locked})

    monkeypatch.setattr(bringing.run, "up", up)
    return it


def rotate(world, again=False, path=PATH):
    rotation = rotating.plan_rotation(made(), path, again)
    now = rotating.ready(made(), rotation, again, lambda _: False, world.said.append)
    former = rotating.Former()
    if not again:
        former = rotating.set_value(made().stack, path, partial(world.file.write_text, NEW))
    digests, _ = secret_hosts.wanted_versions(made("new"), "watchme")
    each = rotating_hosts.HostByHost(made(), now, {"watchme": digests}, former, lambda _: False, world.said.append)
    (line,) = each.rotate()
    return line


def test_rotated_secret_is_delivered_only_to_its_users(world):
    assert rotate(world) == "web on watchme run with the new value of web.TOKEN"
    version = next(
        item["versions"][PLACE] for item in world.contents["manifest"]["environment_files"] if PLACE in item["versions"]
    )
    ((asked, file),) = world.asked
    assert asked == {
        "host": "watchme", "services": ["web"], "deployed": {}, "versions": {PLACE: version}, "basis": {}, "release": "r1",
    }  # fmt: skip
    assert file == world.file.read_text() == NEW
    assert not world.note.exists() and not (world.note.parent / "rotating-prod.json").exists()


def test_shared_secret_restarts_all_its_users():
    (share,) = rotating.plan_rotation(made(), "watchme.SHARED", False).shares
    assert sorted(share.services) == ["admin", "web"] and sorted(share.places) == ["admin/SHARED", "web/SHARED"]


@pytest.mark.parametrize(
    "reason", ["rolled back on watchme: web answered 500", "nothing was touched: x", "the stack is locked by x"]
)
def test_failed_rotation_restores_the_former_value_in_the_stack(world, reason):
    world.ends = [reason]
    with pytest.raises(locks.Locked if "locked" in reason else InfraError, match=reason):
        rotate(world)
    assert world.file.read_text() == FILE and not world.note.exists()
    assert world.said[-1] == "restored the previous value of web.TOKEN in Pulumi.prod.yaml"
    back = [(file, "basis" in asked) for asked, file in world.asked[1:]]
    assert back == ([] if "locked" in reason else [(FILE, False)])


def test_concurrently_edited_stack_file_is_not_restored(world):
    world.ends = ["rolled back on watchme: x"]
    former = rotating.set_value(made().stack, PATH, partial(world.file.write_text, NEW))
    world.file.write_text("config: another\n")
    former.restore(world.said.append)
    assert world.file.read_text() == "config: another\n" and "was changed meanwhile" in world.said[-1]


def test_interrupted_rotation_continues_with_the_stored_value(world):
    world.interrupts = True
    with pytest.raises(KeyboardInterrupt):
        rotate(world)
    before = world.asked[0][0]["versions"]
    assert world.note.read_text().strip() == "infra secret rotate web.TOKEN --again --stack prod"
    # The host came to its end by itself
    world.interrupts, world.current = False, "r2"
    world.contents = {**world.contents, "manifest": manifest_of(render(made("new"), "watchme"))}
    with pytest.raises(InfraError, match=r"was interrupted: infra secret rotate web.TOKEN --again --stack prod"):
        rotate(world)
    assert "run with the new value" in rotate(world, again=True)
    assert world.asked[-1][0]["versions"] == before and world.file.read_text() == NEW and not world.note.exists()


def test_new_value_stays_after_an_unknown_outcome(world):
    world.ends = ["watchme: it did not come back to say how it ended"]
    with pytest.raises(InfraError, match="it did not come back"):
        rotate(world)
    assert world.file.read_text() == NEW and world.note.exists()


REFUSED = {
    "nothing names it": ("web.TOKNE", "nothing names this secret: did you mean 'web.TOKEN'"),
    "no value": ("web.UNSET", "web.UNSET has no value to be replaced: infra secret set web.UNSET --stack prod"),
    "a site's": (
        "watchme.ALICE",
        "is used by watchme's sites, and not by services alone: infra secret set",
    ),
    "the monitor's": ("monitor.webhook", "is used by notices, and not by .* then pulumi up --stack prod"),
}


@pytest.mark.parametrize(("path", "line"), REFUSED.values(), ids=REFUSED)
def test_secret_without_a_single_user_is_refused_with_the_commands(path, line):
    with pytest.raises(InfraError, match=line):
        rotating.plan_rotation(made(), path, False)


def test_nothing_is_set_while_the_host_serves_something_else(world):
    world.current = "r0"
    with pytest.raises(locks.Unsettled, match="watchme serves r0, and not what pulumi up brought last"):
        rotate(world)
    world.current, world.contents = "r1", {"release": None}
    with pytest.raises(InfraError, match="watchme has no value of web/TOKEN yet: pulumi up --stack prod"):
        rotate(world)
    assert world.file.read_text() == FILE and world.asked == []


def test_secret_of_another_manager_is_delivered_after_its_change():
    source = {"infra:secretsFrom": {"web": {"TOKEN": "ssm:/prod/token"}}}
    named = catalogue(lambda data: service(data, "web").update(secrets=["TOKEN"]), lambda config: config.update(source))
    named.stack.secrets["web"] = {"TOKEN": "x"}
    with pytest.raises(
        InfraError, match=r"web.TOKEN comes from ssm:/prod/token \(infra:secretsFrom\): change it there"
    ):
        rotating.plan_rotation(named, PATH, False)
    assert rotating.plan_rotation(named, PATH, True).shares[0].services == ["web"]


def test_services_of_the_same_compose_file_restart_too():
    def change(data):
        service(data, "web").update(unit="watchme-admin.service", directory=service(data, "admin")["directory"])
        service(data, "web").update(secrets=["TOKEN"])

    together = catalogue(change, lambda config: config.update({"infra:secrets": {"web": {"TOKEN": "x"}}}))
    assert rotating.plan_rotation(together, PATH, False).shares[0].services == ["web", "admin"]


def test_rotated_value_is_read_from_standard_input_and_not_shown(world, monkeypatch):
    put = []

    def setting(stack, group, name, value, form="variable"):
        put.append((group, name, value))
        world.file.write_text(NEW)

    monkeypatch.setattr(secret, "put", setting)
    monkeypatch.setattr("infra.cli.secrets.valid_catalogue", lambda stack: made())
    monkeypatch.setattr(live, "catalogue_of", lambda stack: made("new"))
    ran = CliRunner().invoke(app, ["secret", "rotate", PATH, "--stack", "prod"], input="hunter2\n")
    assert ran.exit_code == 0 and put == [("web", "TOKEN", "hunter2")] and "hunter2" not in ran.output
    assert ran.stdout.splitlines() == [
        "web on watchme run with the new value of web.TOKEN",
        "commit Pulumi.prod.yaml: an update from another checkout would deploy the old value",
    ]
    assert "hunter2" not in json.dumps(world.asked)
    # What the host has already is no update
    monkeypatch.setattr(live, "catalogue_of", lambda stack: made())
    ran = CliRunner().invoke(app, ["secret", "rotate", PATH, "--again", "--stack", "prod"])
    assert ran.stdout.splitlines() == ["watchme has this value of web.TOKEN already: nothing to do"]
    assert len(world.asked) == 1


def test_unreadable_or_unchanged_value_is_not_left_in_the_file(world, monkeypatch):
    monkeypatch.setattr(secret, "put", lambda *_: world.file.write_text(NEW))
    monkeypatch.setattr("infra.cli.secrets.valid_catalogue", lambda stack: made())
    rotation = ["secret", "rotate", PATH, "--stack", "prod"]

    def unreadable(stack):
        raise InfraError("another manager does not answer")

    monkeypatch.setattr(live, "catalogue_of", unreadable)
    ran = CliRunner().invoke(app, rotation, input="x\n")
    assert "does not answer" in str(ran.exception) and world.file.read_text() == FILE and world.asked == []
    monkeypatch.setattr(live, "catalogue_of", lambda stack: made())
    ran = CliRunner().invoke(app, rotation, input="old\n")
    assert "already: nothing to do" in ran.stdout and world.file.read_text() == FILE and world.asked == []
    assert "leave out --generate" in str(CliRunner().invoke(app, [*rotation, "--again", "--generate"]).exception)
