"""`infra secret rotate` of a value that services of several hosts use: all of them have the same one at its end, or it
is said which has which."""

import json
from functools import partial

import pytest

from infra import bringing, hosts, locks, remote, rotating, rotating_hosts, secret, secret_hosts
from infra.errors import InfraError
from rendering.archive import manifest_of
from rendering.host import render
from tests.catalogue.shop import SECOND, read_shop
from tests.catalogue.shop import part as entry

PATH = "shop.TOKEN"
OLD, NEW = "config: old\n", "config: new\n"
AGAIN = "infra secret rotate shop.TOKEN --again --stack prod"


def sharing(text):
    """The database, which stays, and the web service, which runs on another host, share a secret of the system's."""
    text = text.replace("secrets: [POSTGRES_PASSWORD]", "secrets: [POSTGRES_PASSWORD, TOKEN]")
    text = text.replace("    depends_on: {shop-db: {condition: service_healthy}}\n", "")
    return text.replace("    release: {command: migrate}\n", "    secrets: [TOKEN]\n")


class World:
    """Two hosts with the value that each has, what is asked of Pulumi, and how updates of each end."""

    def __init__(self, root, monkeypatch):
        self.root, self.said, self.asked = root, [], []
        self.values = {"gpu": "old", "box": "old"}
        self.ends: dict[str, list[str]] = {"gpu": [], "box": []}
        self.file, self.unsettled = root / "Pulumi.prod.yaml", root / ".infra/deploying-prod"
        self.interrupts, self.silent = "", 0
        self.file.write_text(OLD)
        monkeypatch.chdir(root)
        monkeypatch.delenv("PULUMI_OPTION_CONFIG_FILE", raising=False)
        for module in (bringing, rotating):
            monkeypatch.setattr(module, "project_root", lambda: root)
        monkeypatch.setattr("infra.notes.project_root", lambda: root)
        monkeypatch.setattr(hosts, "outputs", lambda stack: self.outputs())
        monkeypatch.setattr(hosts, "targets", lambda stack, host: {host: host})
        monkeypatch.setattr(hosts, "select_targets", lambda stack, outputs, host, key: {host: host})
        monkeypatch.setattr(hosts, "private_key", lambda stack: "k")
        monkeypatch.setattr(bringing, "ask", lambda host, _: {"current": f"r-{self.values[host]}", "history": []})
        monkeypatch.setattr(remote, "ask", lambda host, _: self.contents(host))
        monkeypatch.setattr(bringing.run, "settle", lambda *_: None)
        monkeypatch.setattr(bringing.run, "up", self.up)

    def outputs(self):
        if self.silent and len(self.asked) >= self.silent:
            raise InfraError("the backend does not answer")
        releases = {host: {"id": f"r-{value}"} for host, value in self.values.items()}
        return {"addresses": {"gpu": "x", "box": "y"}, "images": {}, "region": "ap-northeast-1", "releases": releases}

    def catalogue(self, value="old"):
        hosts_here = {"gpu": {**SECOND, "systems": [entry("shop", "web", "worker")]}}
        secrets = {"shop": {"POSTGRES_PASSWORD": "x", "TOKEN": value}}
        return read_shop(self.root, "shop", change=sharing, hosts=hosts_here, secrets=secrets, sshPrivateKey="k")

    def contents(self, host):
        return {"release": "r", "manifest": manifest_of(render(self.catalogue(self.values[host]), host)), "files": {}}

    def up(self, stack, planned, say, ask, options):
        deploying = json.loads(options.environment["INFRA_DEPLOYING"])
        host = deploying["host"]
        value = "new" if self.file.read_text() == NEW else "old"
        end = ""
        if "basis" in deploying:
            # What serves is what the update was worked out from: the program refuses anything else
            assert deploying["release"] == f"r-{self.values[host]}"
            assert deploying["versions"].items() <= self.digests(self.values[host])[host].items()
            self.asked.append((host, value))
            if self.interrupts == host:
                raise KeyboardInterrupt
            end = self.ends[host].pop(0) if self.ends[host] else ""
            self.values[host] = self.values[host] if end else value
        is_locked = end.startswith("the stack is locked")
        return type("Progress", (), {"reasons": [end] if end else [], "is_locked": is_locked})

    def digests(self, value):
        return {host: secret_hosts.wanted_versions(self.catalogue(value), host)[0] for host in ("gpu", "box")}

    def rotate(self, again=False):
        made, former, ask = self.catalogue(), rotating.Former(), lambda _: False
        rotation = rotating.plan_rotation(made, PATH, again)
        now = rotating.ready(made, rotation, again, ask, self.said.append)
        if not again:
            former = rotating.set_value(made.stack, PATH, partial(self.file.write_text, NEW))
        digests = self.digests("new" if self.file.read_text() == NEW else "old")
        each = rotating_hosts.HostByHost(made, now, digests, former, ask, self.said.append)
        return each.rotate()


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


def test_value_is_brought_to_each_host_in_the_order_of_their_releases(world):
    assert world.rotate() == [
        "web, worker on gpu run with the new value of shop.TOKEN",
        "shop-db on box run with the new value of shop.TOKEN",
    ]
    assert world.asked == [("gpu", "new"), ("box", "new")] and world.values == {"gpu": "new", "box": "new"}
    assert world.file.read_text() == NEW and not world.unsettled.exists()


def test_secret_of_a_system_is_known_where_a_part_of_it_uses_it(world):
    """Its value comes from the whole system's group: it is neither missing nor unused."""
    entries = {one.path: one for one in secret.stack_secrets(world.catalogue())}
    assert sorted(entries[PATH].used_by) == ["shop-db", "web"] and "web.TOKEN" not in entries
    assert secret_hosts.path_of(world.catalogue(), "web/TOKEN") == PATH


@pytest.mark.parametrize("reason", ["rolled back on box: shop-db is unhealthy", "the stack is locked by x"])
def test_refusal_by_a_later_host_takes_the_earlier_ones_back(world, reason):
    world.ends["box"] = [reason]
    with pytest.raises(locks.Locked if "locked" in reason else InfraError) as refused:
        world.rotate()
    assert str(refused.value) == f"{reason}. gpu, box and the stack have the former value of shop.TOKEN"
    assert world.asked == [("gpu", "new"), ("box", "new"), ("gpu", "old")]
    assert world.values == {"gpu": "old", "box": "old"} and world.file.read_text() == OLD
    assert not world.unsettled.exists()


def test_refusal_by_the_first_host_touches_no_other(world):
    world.ends["gpu"] = ["rolled back on gpu: web is unhealthy"]
    with pytest.raises(InfraError, match=r"gpu, box and the stack have the former value of shop\.TOKEN$"):
        world.rotate()
    assert world.asked == [("gpu", "new")] and world.file.read_text() == OLD


def test_silent_backend_between_two_hosts_takes_the_earlier_one_back(world):
    world.silent = 1
    with pytest.raises(InfraError) as refused:
        world.rotate()
    # Nor does it answer for the way back: gpu keeps what it has
    assert world.values == {"gpu": "new", "box": "old"} and world.file.read_text() == OLD
    assert str(refused.value) == (
        "the backend does not answer. shop.TOKEN, with the new value: gpu; with the former value: box; the stack has "
        f"the former one, which all of them get by {AGAIN}"
    )
    world.silent = 0
    assert world.rotate(again=True) == ["web, worker on gpu run with the new value of shop.TOKEN"]
    assert world.values == {"gpu": "old", "box": "old"}


def test_host_that_refuses_the_way_back_is_named_with_its_value(world):
    world.ends = {"gpu": ["", "rolled back on gpu: the former one has expired"], "box": ["rolled back on box: x"]}
    with pytest.raises(InfraError) as refused:
        world.rotate()
    assert "with the new value: gpu; with the former value: box; the stack has the former one" in str(refused.value)
    assert "gpu: rolled back on gpu: the former one has expired" in world.said and not world.unsettled.exists()


def test_unknown_outcome_leaves_the_new_value_and_goes_on_with_it(world):
    world.ends["box"] = ["box: it did not come back to say how it ended"]
    with pytest.raises(InfraError) as unknown:
        world.rotate()
    assert "with the new value: gpu; with one of the two: box; the stack has the new one" in str(unknown.value)
    assert "infra secret set shop.TOKEN --stack prod" in str(unknown.value)
    assert world.file.read_text() == NEW and world.unsettled.read_text().strip() == AGAIN
    assert world.rotate(again=True) == ["shop-db on box run with the new value of shop.TOKEN"]
    assert world.asked == [("gpu", "new"), ("box", "new"), ("box", "new")] and not world.unsettled.exists()


def test_unknown_outcome_of_the_way_back_stops_there(world):
    world.ends = {"gpu": ["", "gpu: it did not come back"], "box": ["rolled back on box: x"]}
    with pytest.raises(InfraError, match="with the former value: box; with one of the two: gpu; the stack has the for"):
        world.rotate()
    assert world.unsettled.exists() and world.file.read_text() == OLD


def test_value_without_a_former_one_stays_where_it_was_brought(world):
    world.file.write_text(NEW)
    world.ends["box"] = ["rolled back on box: x"]
    with pytest.raises(InfraError, match="with the new value: gpu; with the former value: box; the stack has the new"):
        world.rotate(again=True)
    assert world.asked == [("gpu", "new"), ("box", "new")] and world.file.read_text() == NEW


def test_interrupted_rotation_says_which_host_has_which_value(world):
    world.interrupts = "box"
    with pytest.raises(KeyboardInterrupt):
        world.rotate()
    assert "with the new value: gpu; with one of the two: box; the stack has the new one" in world.said[-1]
    world.interrupts = ""
    with pytest.raises(InfraError, match=f"was interrupted: {AGAIN}"):
        world.rotate()
    assert world.rotate(again=True) == ["shop-db on box run with the new value of shop.TOKEN"]


def test_nothing_is_set_while_one_host_is_not_as_the_last_update_left_it(world, monkeypatch):
    outputs = world.outputs()
    outputs["releases"]["box"] = {"id": "r9"}
    monkeypatch.setattr(world, "outputs", lambda: outputs)
    with pytest.raises(locks.Unsettled, match="box serves r-old, and not what pulumi up brought last"):
        world.rotate()
    assert world.asked == [] and world.file.read_text() == OLD
