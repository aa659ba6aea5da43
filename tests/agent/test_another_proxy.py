"""Another kind of proxy is two descriptions: its sites are rendered, tested and watched by what these say."""

import json
import re
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from agent import overrides, proxies, traffic
from agent.dropins import directives, starts_otherwise
from agent.measures.proxy import server_errors
from agent.monitor.look import HostFacts
from agent.proxy import Conflict, Log
from agent.proxy import Proxy as ProxyOfAgent
from agent.world import CommandResult
from catalogue.proxies import NAMES
from infra.preview import serving
from rendering import proxies as rendered
from rendering import sites
from rendering.archive import build
from rendering.files import File, HostFiles, Reaction, Unit
from rendering.host import needs, render
from rendering.proxy import Proxy, SiteText
from tests.agent.native import ARTEFACTS, machine
from tests.agent.parcels import ParcelWorld
from tests.agent.releases import applied
from tests.agent.stored import current
from tests.support import put_by_hand, whole

NAME, UNIT, PLACE = "example.com", "courier.service", "/etc/courier"
LOG = "/var/log/courier/requests"
FILE, OTHER = f"{PLACE}/sites/{NAME}.conf", f"{PLACE}/sites/other.conf"
RELOAD = ["systemctl", "reload", "courier"]


def of_site(catalogue, host, system, site):
    seen = sites.view(catalogue, system, site, PLACE)
    lines = [f"path {one.path} to {one.upstream}" for one in seen.locations if one.kind == "service"]
    return HostFiles("", files=[File(f"{PLACE}/sites/{seen.name}.conf", "\n".join(lines).encode())], names=[seen.name])


def once(catalogue, host):
    return HostFiles("", units=[Unit(UNIT, [])], reactions=[Reaction([f"{PLACE}/"], RELOAD)])


def others(world, names, ours, serves):
    return [Conflict(OTHER, f"has {NAME} too")] if NAME in names and OTHER not in ours and world.exists(OTHER) else []


@pytest.fixture(autouse=True)
def courier(monkeypatch):
    """A proxy that is there under its name, in both registries."""
    path = re.compile(r"^path (/\S*) ", re.MULTILINE)
    text = SiteText(f"{PLACE}/sites/", path, re.compile(" to "), re.compile("^only "), suffix=".conf")
    monkeypatch.setitem(rendered.PROXIES, "courier", Proxy(UNIT, "courier-server", of_site, once, text))
    description = ProxyOfAgent(
        UNIT, f"{PLACE}/", f"{PLACE}/main.conf", "courier check", "courier check",
        Log(file=LOG, pattern=r"^(?P<time>\d+) (?P<client>\S+) (?P<status>\d+)"),
        starts_ours=lambda command: command.program == "courier" and command.words == ["run"], others=others,
        running=lambda world: [Conflict(UNIT, "runs something else")] if world.exists("/run/courier.else") else [],
    )  # fmt: skip
    monkeypatch.setitem(proxies.PROXIES, "courier", description)


def behind_courier():
    made = put_by_hand(whole(), "recall")
    hosts = made.stack.hosts
    host = hosts["services"].model_copy(update={"proxy": "courier"})
    return replace(made, stack=made.stack.model_copy(update={"hosts": {**hosts, "services": host}}))


def release():
    pushed = ParcelWorld()
    digests = {f"{name}:latest": pushed.publish(name, files).split("@")[1] for name, files in ARTEFACTS.items()}
    return build(render(behind_courier(), "services", digests))


def serving_host():
    world = machine()
    assert applied(world, release()).outcome == "applied"
    return world


def test_every_proxy_is_described_on_both_sides_under_one_name():
    assert {*NAMES, "courier"} == {*rendered.PROXIES} == {*proxies.PROXIES}
    for name in rendered.PROXIES:
        own, of_agent = rendered.PROXIES[name], proxies.PROXIES[name]
        assert own.unit == of_agent.unit == f"{name}.service" and of_agent.place == f"/etc/{name}/"
        assert own.site_text.place.startswith(of_agent.place) and of_agent.main.startswith(of_agent.place)


def test_sites_are_rendered_for_another_proxy():
    files = render(behind_courier(), "services")
    texts = {file.path: file.content.decode() for file in files.files}
    assert "path /ai/ to 127.0.0.1:" in texts[FILE] and UNIT in [unit.name for unit in files.units]
    assert not [path for path in texts if path.startswith(("/etc/nginx/", "/etc/caddy/"))]
    assert "courier-server" in needs(behind_courier(), "services")
    assert f"{NAME}/ai/" in serving.public_paths(texts) and not serving.guarded_paths(texts)


def test_configuration_of_another_proxy_is_tested_before_the_switch():
    world = machine()
    world.answers["unshare"] = CommandResult(1, "line 1: no such path")
    ended = applied(world, release())
    assert ended.outcome == "refused" and "courier check: line 1: no such path" in ended.line
    assert FILE not in world.files


def test_files_are_applied_and_the_log_is_read_for_another_proxy():
    world = serving_host()
    assert FILE in world.files and UNIT in world.active
    look = HostFacts(world, current(world))
    lines = "".join(f"{world.time - 5:.0f} 192.0.2.1 {status}\n" for status in [200] * 15 + [502] * 5)
    world.answers[f"tail -n 20000 {LOG}"] = CommandResult(0, lines + "no answer\n")
    (condition,) = [alert for alert in look.manifest["alerts"] if alert["measure"] == "proxy server errors"]
    (measured,) = server_errors(look, condition)
    assert (measured.subject, measured.value) == (UNIT, 25.0)


def test_other_configuration_in_force_is_reported():
    world = serving_host()
    assert overrides.list_overrides(world, current(world)) == []
    world.files[OTHER] = (b"", 0o644, "root", "root")
    world.files["/run/courier.else"] = (b"", 0o644, "root", "root")
    named = overrides.list_overrides(world, current(world))
    assert named == [(OTHER, f"has {NAME} too"), (UNIT, "runs something else")]


@pytest.mark.parametrize(("command", "otherwise"), [("/usr/bin/courier run", False), ("/opt/courier serve", True)])
def test_start_command_is_judged_by_the_description_of_the_proxy(command, otherwise):
    text = f"[Service]\nExecStart={command}\n".encode()
    assert starts_otherwise(proxies.PROXIES["courier"], directives(text)) == otherwise


def test_clients_of_a_retiring_host_are_read_from_the_log_of_another_proxy(tmp_path, monkeypatch, capsys):
    (tmp_path / "requests").write_text(f"{time.time() - 3:.0f} 192.0.2.1 200\n")
    own = proxies.PROXIES["courier"]
    log = replace(own.log, file=str(tmp_path / "requests"))
    monkeypatch.setitem(proxies.PROXIES, "courier", replace(own, log=log))
    monkeypatch.setattr(traffic.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=""))
    traffic.main({"within": 30, **proxies.signs_of_traffic()})
    assert json.loads(capsys.readouterr().out)["clients"] == [["192.0.2.1", 1]]
