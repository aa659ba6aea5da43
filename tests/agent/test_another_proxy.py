"""Another kind of proxy is two descriptions: its sites are rendered, tested and watched by what these say."""

import json
import re
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from agent import overrides, proxies, traffic
from agent.dropins import directives, starts_otherwise
from agent.measures.proxy import server_errors
from agent.monitor.look import HostFacts
from agent.proxy import Conflict, Http3, Log
from agent.proxy import Proxy as ProxyOfAgent
from agent.world import CommandResult
from catalogue.proxies import NAMES
from catalogue.proxy import Proxy as ProxyOfCatalogue
from infra.drift.deciding import deciding_keys
from infra.preview import serving
from rendering import proxies as rendered
from rendering import sites
from rendering.archive import build
from rendering.files import File, HostFiles, Reaction
from rendering.host import needs, render
from rendering.proxy import Proxy, SiteText
from tests.agent.native import ARTEFACTS, machine
from tests.agent.parcels import ParcelWorld
from tests.agent.releases import applied
from tests.agent.stored import current
from tests.support import put_by_hand, unchanged, whole

NAME, UNIT, PLACE = "example.com", "courier.service", "/etc/courier"
# How a line of a site's file begins, and what of the catalogue it comes from
FIELDS = {"path ": "routes", "quick": "http3", "read ": "snippet"}
LOG = "/var/log/courier/requests"
FILE, OTHER = f"{PLACE}/sites/{NAME}.conf", f"{PLACE}/sites/other.conf"
RELOAD = ["systemctl", "reload", "courier"]
DESCRIBED = ProxyOfCatalogue(snippet_faults=lambda text, own: iter(()))


def of_site(catalogue, host, system, site):
    seen = sites.view(catalogue, system, site, PLACE)
    lines = [f"path {one.path} to {one.upstream}" for one in seen.locations if one.kind == "service"]
    lines += ["six"] * catalogue.stack.hosts[host].ipv6 + ["quick"] * site.http3 + [f"read {seen.snippet}"]
    own = File(f"{PLACE}/sites/{seen.name}.conf", "\n".join(lines).encode())
    return HostFiles("", files=[own, *sites.files(catalogue, system, site, PLACE)], names=[seen.name])


def once(catalogue, host):
    return HostFiles("", reactions=[Reaction([f"{PLACE}/"], RELOAD)])


def others(world, names, ours, serves):
    return [Conflict(OTHER, f"has {NAME} too")] if NAME in names and OTHER not in ours and world.exists(OTHER) else []


@pytest.fixture(autouse=True)
def courier(monkeypatch):
    """A proxy that is there under its name, in both registries."""
    path = re.compile(r"^path (/\S*) ", re.MULTILINE)
    text = SiteText(f"{PLACE}/sites/", path, re.compile(" to "), re.compile("^only "), suffix=".conf", fields=FIELDS)
    monkeypatch.setitem(rendered.PROXIES, "courier", Proxy("courier", "courier-server", of_site, once, text))
    description = ProxyOfAgent(
        "courier", f"{PLACE}/main.conf", "courier check", "courier check",
        Log(file=LOG, pattern=r"^(?P<time>\d+) (?P<client>\S+) (?P<status>\d+)"),
        starts_ours=lambda command: command.program == "courier" and command.words == ["run"], others=others,
        running=lambda world: [Conflict(UNIT, "runs something else")] if world.exists("/run/courier.else") else [],
        listens_on_ipv6=lambda text: "\nsix" in text,
        http3=Http3(lambda text: "\nquick" in text, lambda world: world.exists("/usr/lib/quick"), "courier-quick"),
    )  # fmt: skip
    monkeypatch.setitem(proxies.PROXIES, "courier", description)


def behind_courier(change=unchanged):
    made = put_by_hand(whole(), "recall", change)
    made = replace(made, sources={**made.sources, "more.conf": b"by hand\n"})
    hosts = made.stack.hosts
    host = hosts["services"].model_copy(update={"proxy": "courier"})
    return replace(made, stack=made.stack.model_copy(update={"hosts": {**hosts, "services": host}}))


def saying(**values):
    return lambda data: data["sites"][0].update(values)


def release(change=unchanged):
    pushed = ParcelWorld()
    digests = {f"{name}:latest": pushed.publish(name, files).split("@")[1] for name, files in ARTEFACTS.items()}
    return build(render(behind_courier(change), "services", digests))


def serving_host():
    world = machine()
    assert applied(world, release()).outcome == "applied"
    return world


def test_every_proxy_is_described_on_both_sides_under_one_name():
    assert {*NAMES, "courier"} == {*rendered.PROXIES} == {*proxies.PROXIES}
    for name in rendered.PROXIES:
        own, of_agent = rendered.PROXIES[name], proxies.PROXIES[name]
        assert own.name == of_agent.name == name and own.unit == of_agent.unit == f"{name}.service"
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


def test_snippet_is_put_where_another_proxy_reads_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "catalogue.proxies.courier", SimpleNamespace(PROXY=DESCRIBED))
    monkeypatch.setattr("catalogue.proxies.NAMES", (*NAMES, "courier"))
    files = render(behind_courier(saying(snippet={"courier": "more.conf"})), "services")
    texts = {file.path: file.content.decode() for file in files.files}
    assert texts[f"{PLACE}/by-hand/{NAME}.conf"] == "by hand\n"
    assert f"read {PLACE}/by-hand/{NAME}.conf" in texts[FILE]


@pytest.mark.parametrize(("has_it", "outcome"), [(True, "applied"), (False, "refused")])
def test_http3_of_another_proxy_is_looked_for_before_the_switch(has_it, outcome):
    world = machine()
    if has_it:
        world.files["/usr/lib/quick"] = (b"", 0o644, "root", "root")
    ended = applied(world, release(saying(http3=True)))
    said = f"the Courier of this host has no HTTP/3, but {FILE} asks for it: install courier-quick, or take http3 from"
    assert ended.outcome == outcome and (said in ended.line) != has_it


def test_another_proxy_that_listens_on_ipv6_is_refused_where_there_is_none():
    world = machine()
    world.lacks = {*world.lacks, "ipv6"}
    ended = applied(world, release())
    assert ended.outcome == "refused" and f"this host has no IPv6, but {FILE} listens on it" in ended.line


def test_keys_that_decide_a_site_of_another_proxy_are_named():
    before = "path /ai/ to 127.0.0.1:1\nsix"
    after = "path /ai/ to 127.0.0.1:2\nsix\nquick"
    keys = deciding_keys(behind_courier(), "services", FILE, before, after)
    assert [key.split(": ", 1)[1] for key in keys] == ["routes (path /ai/ to 127.0.0.1:2)", "http3 (quick)"]
