"""What is in force on a host in a release's place: named by a release, by drift and by the monitor."""

import json

import pytest

from agent import drift, overrides
from agent.dropins import directives, overridden_settings
from agent.engine import Declined
from agent.monitor.conditions import firing
from agent.monitor.look import HostFacts
from agent.overrides import Override
from agent.proxies import nginx
from agent.proxies.caddy import ADMIN as CADDY_ADMIN
from agent.store import current
from agent.world import CommandResult
from tests.agent.conditions import watchme
from tests.agent.fake import FakeWorld
from tests.agent.native import release as native_release
from tests.agent.native import serving as native_serving
from tests.agent.releases import applied, bigger, release, serving

OWNED = (0o644, "root", "root")
NAME = "api.hey-watch.me"
UNIT = "watchme-ast-api.service"
NGINX = "/etc/systemd/system/nginx.service"
ELSEWHERE = b"[Service]\nExecStart=\nExecStart=/usr/sbin/nginx -c /srv/nginx.conf\n"
TIMEOUT = b"[Service]\nTimeoutStartSec=5\n"


def sites(*files: tuple[str, str]) -> CommandResult:
    return CommandResult(0, "\n".join(f"# configuration file {path}:\n{text}" for path, text in files))


OURS = ("/etc/nginx/sites-enabled/api.hey-watch.me", f"server {{ listen 443 ssl; server_name {NAME}; }}")
MAIN = (
    "/etc/nginx/nginx.conf",
    "events { }\nhttp { include /etc/nginx/conf.d/*.conf; include /etc/nginx/sites-enabled/*; }",
)
SAME = {
    "in conf.d": f"server {{\n  listen 443 ssl;\n  server_name www.x {NAME};\n}}",
    "another case, quoted": f'server{{listen [::]:443 ssl http2;server_name "{NAME.upper()}";}}',
    "port 80, by silence": f"server {{ server_name {NAME}; location / {{ return 200; }} }}",
    "an address": f"server {{ listen 10.0.0.1:443; server_name {NAME}; }}",
    "with what is below it": f"server {{ listen 443; server_name .{NAME}; }}",
    "its ports are elsewhere": f"server {{ include snippets/ports.conf; server_name {NAME}; }}",
    "after a comment and a map": f"# server_name other;\nmap $x $y {{ default '}}'; }}\nserver {{ listen 443; server_name {NAME}; }}",
    "in http": f"http {{ server {{ listen 443; server_name {NAME}; }} }}",
}
OTHER = {
    "another name": "server { listen 443; server_name www.hey-watch.me; }",
    "what is below it alone": f"server {{ listen 443; server_name *.{NAME}; }}",
    "another port": f"server {{ listen 8443; server_name {NAME}; }}",
    "another port, and an include": f"server {{ listen 8443 ssl; include options-ssl-nginx.conf; server_name {NAME}; }}",
    "mail": f"mail {{ server {{ server_name {NAME}; include x.conf; }} }}",
    "this host itself": f"server {{ listen 127.0.0.1:80; listen [::1]:80; server_name {NAME}; }}",
    "unclosed braces without an end": "${" * 20000,
    "a socket": f"server {{ listen unix:/run/x.sock; listen 127.0.0.1:8081; server_name {NAME}; }}",
    "a comment": f"# server {{ listen 443; server_name {NAME}; }}",
    "an upstream": f"upstream x {{ server {NAME}:443; }}",
    "a text": f"map $a $b {{ default 'server {{ listen 443; server_name {NAME}; }}'; }}",
    "a name in another block": f"server {{ listen 443; server_name x; location / {{ proxy_set_header Host {NAME}; }} }}",
    "broken": f"}} }} server_name {NAME}; listen 443; {{",
}


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_second_nginx_site_of_a_public_name_is_reported(text):
    world = serving(release())
    world.answers["nginx -T -q"] = sites(MAIN, ("/etc/nginx/conf.d/legacy.conf", text), OURS)
    (found,) = nginx.others(world, [NAME], {OURS[0]})
    assert found == (
        "/etc/nginx/conf.d/legacy.conf",
        f"also has the public name {NAME}: Nginx uses only the first site that it reads",
    )


@pytest.mark.parametrize("text", OTHER.values(), ids=OTHER)
def test_other_nginx_configuration_is_not_reported(text):
    world = serving(release())
    world.answers["nginx -T -q"] = sites(MAIN, ("/etc/nginx/conf.d/legacy.conf", text), OURS)
    assert nginx.others(world, [NAME], {OURS[0]}) == []


def test_nothing_is_reported_when_nginx_gives_no_configuration():
    world = serving(release())
    world.answers["nginx -T -q"] = CommandResult(1, 'unknown directive "x"')
    assert nginx.others(world, [NAME], set()) == []
    world.installed.discard("nginx")
    assert nginx.others(world, [NAME], set()) == [] and nginx.others(world, [], set()) == []


def legacy(world: FakeWorld) -> str:
    path = "/etc/nginx/conf.d/legacy.conf"
    world.answers["nginx -T -q"] = sites(MAIN, (path, SAME["in conf.d"]), OURS)
    return path


def copied_link(world: FakeWorld) -> str:
    path = "/etc/nginx/sites-enabled/api.hey-watch.me.bak"
    world.answers["nginx -T -q"] = sites(MAIN, OURS, (path, OURS[1]))
    return path


def closed(world: FakeWorld) -> str:
    path = "/etc/nginx/conf.d/closed.conf"
    world.answers["nginx -T -q"] = sites(MAIN, (path, "deny all;"), OURS)
    return path


def one_address(world: FakeWorld) -> str:
    """Nginx chooses by the address first, and by names only among servers of that address."""
    path = "/etc/nginx/conf.d/inner.conf"
    world.answers["nginx -T -q"] = sites(MAIN, (path, "server { listen 10.20.1.5:443 ssl; server_name _; }"))
    return path


def name_in_a_snippet(world: FakeWorld) -> str:
    path, snippet = "/etc/nginx/conf.d/legacy.conf", "/etc/nginx/snippets/names.conf"
    world.answers["nginx -T -q"] = sites(
        MAIN, (path, "server { listen 443 ssl; include snippets/names*.conf; }"), (snippet, f"server_name {NAME};")
    )
    return path


def drop_in(world: FakeWorld, path: str = f"/etc/systemd/system/{UNIT}.d/override.conf", text: bytes = TIMEOUT) -> str:
    world.files[path] = (text, *OWNED)
    return path


IN_FORCE = {
    "a site": legacy,
    "a copied link": copied_link,
    "a site of one address": one_address,
    "what refuses every site's requests": closed,
    "a name in a file that a site takes in": name_in_a_snippet,
    "a drop-in": drop_in,
    "of all services": lambda w: drop_in(w, "/etc/systemd/system/service.d/all.conf"),
    "of a name's beginning": lambda w: drop_in(w, "/etc/systemd/system/watchme-ast-.service.d/x.conf"),
    "by set-property": lambda w: drop_in(w, f"/etc/systemd/system.control/{UNIT}.d/50-x.conf"),
    "until the next boot": lambda w: drop_in(w, f"/run/systemd/system/{UNIT}.d/x.conf"),
    "another configuration of the proxy": lambda w: drop_in(w, f"{NGINX}.d/x.conf", ELSEWHERE),
    "of a unit in the place of its package's": lambda w: drop_in(w, NGINX, ELSEWHERE),
    "a unit": lambda w: drop_in(w, f"/etc/systemd/system.control/{UNIT}"),
}  # fmt: skip


@pytest.mark.parametrize("make", IN_FORCE.values(), ids=IN_FORCE)
def test_a_release_that_would_not_be_in_force_is_refused_with_the_file(make):
    world = serving(release())
    path = make(world)
    before = world.seen_by_programs()
    outcome = applied(world, release(bigger))
    assert outcome.outcome == "refused" and f"nothing touched: {path} " in outcome.line
    assert "the release would not take effect" in outcome.line and world.seen_by_programs() == before


@pytest.mark.parametrize("make", IN_FORCE.values(), ids=IN_FORCE)
def test_override_is_reported_by_drift_and_monitor(make):
    world = watchme()
    path = make(world)
    assert path in [entry["path"] for entry in drift.drift(world)]
    assert path in [
        entry.subject for entry in firing(HostFacts(world, current(world))) if entry.alert == "release-overridden"
    ]


def test_leftovers_of_nginx_are_no_matter_of_caddys():
    def caddy(config):
        config["infra:hosts"]["services"]["proxy"] = "caddy"

    world = native_serving(native_release("services", "recall", config=caddy))
    world.answers["nginx -T -q"] = sites(
        MAIN, ("/etc/nginx/conf.d/legacy.conf", "server { listen 443; server_name example.com; }")
    )
    assert overrides.list_overrides(world, current(world)) == []


def test_drop_in_of_the_container_manager_is_no_override():
    world = watchme()
    drop_in(world, "/run/systemd/system/service.d/zzz-lxc-service.conf")
    assert overrides.list_overrides(world, current(world)) == []


@pytest.mark.parametrize("error", [OSError(40, "Too many levels of symbolic links"), OSError(27, "File too large")])
def test_drop_in_of_an_account_does_not_stop_a_release(error, monkeypatch):
    world = watchme()
    drop_in(world)

    def refuse(*_):
        raise error

    monkeypatch.setattr(world, "head", refuse)
    assert overrides.list_overrides(world, current(world)) == []
    monkeypatch.setattr(world, "listing", refuse)
    assert overrides.list_overrides(world, current(world)) == []


def test_drop_ins_of_the_release_are_no_overrides():
    world = native_serving(native_release("services", "recall"))
    assert overrides.list_overrides(world, current(world)) == []


def test_drop_in_of_a_package_is_no_override():
    world = watchme()
    drop_in(world, "/usr/lib/systemd/system/service.d/10-timeout-abort.conf")
    drop_in(world, "/etc/systemd/system/nginx.service.d/limits.conf", b"[Service]\nLimitNOFILE=65536\n")
    drop_in(
        world, f"{NGINX}.d/rlimit.conf", b"[Service]\nExecStart=\nExecStart=nginx -g 'daemon on; worker_priority 1;'\n"
    )
    drop_in(world, f"/etc/systemd/system/{UNIT}.d/notes.txt")
    assert overrides.list_overrides(world, current(world)) == []


RELEASED = b"""[Unit]
Description=x
[Service]
MemoryMax=1G
ExecStart=/bin/a
Environment="TOKEN=a" OTHER=b
Environment=THIRD=c
"""
LATER = b"[Service]\nTimeoutStopSec=9\n"
DROP_INS = {
    "the same value": (b"[Service]\nMemoryMax=1G\n", []),
    "the same variable": (b"[Service]\nEnvironment=THIRD=c\n", []),
    "what systemd adds up": (b"[Unit]\nDescription=x\n[Service]\nExecStartPre=/bin/c\n", []),
    "what it adds up, emptied first": (b"[Service]\nExecStart=\n", ["ExecStart"]),
    "what is read before the release's own": (b"[Service]\nTimeoutStopSec=1\n", []),
    "an installation": (b"[Install]\nMemoryMax=2G\n", []),
    "a text with a sign in it": (b"[Service]\nEnvironment='NEW=-Da=1 THIRD=x'\n", []),
    "a limit": (b"[Service]\nMemoryMax=2G\n", ["MemoryMax"]),
    "by its older name": (b"[Service]\nMemoryLimit=2G\n", ["MemoryMax"]),
    "another section's": (b"[Unit]\nMemoryMax=2G\n", []),
    "one that the release does not set": (b"[Service]\nLimitNOFILE=65536\n", []),
    "a variable": (b"[Service]\nEnvironment=THIRD=secret NEW=1\n", ["Environment=THIRD"]),
    "a quoted one": (b"[Service]\nEnvironment='TOKEN=secret value'\n", ["Environment=TOKEN"]),
    "a new variable": (b"[Service]\nEnvironment=NEW=1\n", []),
    "all variables": (b"[Service]\nEnvironment=\n", ["Environment"]),
    "a file of variables": (b"[Service]\nEnvironmentFile=/etc/x\n", ["EnvironmentFile"]),
    "over two lines": (b"[Service]\nEnvironment=NEW=1 \\\n  OTHER=2\n", ["Environment=OTHER"]),
    "a comment": (b"[Service]\n#MemoryMax=2G\n;ExecStart=\n", []),
    "several": (b"[Service]\nExecStart=\nExecStart=/bin/b\nMemoryMax=1\n", ["ExecStart", "MemoryMax"]),
    "no text": (b"\xff\xfe\x00", []),
}  # fmt: skip


@pytest.mark.parametrize(("text", "names"), DROP_INS.values(), ids=DROP_INS)
def test_overridden_settings_of_a_drop_in_are_found(text, names):
    assert (
        overridden_settings([*directives(RELEASED), *directives(LATER, "y.conf")], directives(text, "x.conf")) == names
    )


CADDY = {"apps": {"http": {}}}
OTHERWISE = "runs a configuration other than /etc/caddy/Caddyfile"
SILENT = f"does not answer at {CADDY_ADMIN}: its running configuration is unknown. systemctl restart caddy.service"
DECLINES = SILENT.replace("does not answer", "refuses requests")
RUNS = {
    "the same": (CommandResult(0, f'2026/11/28 WARN x\n{json.dumps(CADDY)}\n'), json.dumps(CADDY).encode(), ""),
    "another": (CommandResult(0, json.dumps(CADDY)), b'{"apps": {}}', OTHERWISE),
    "nothing answers": (CommandResult(0, json.dumps(CADDY)), OSError(), SILENT),
    "it declines": (CommandResult(0, json.dumps(CADDY)), Declined(), DECLINES),
    "nothing answers, and its files are not taken": (CommandResult(1, "Error"), OSError(), SILENT),
    "files that it does not take": (CommandResult(1, "Error: adapting config"), b"{}", ""),
    "no JSON": (CommandResult(0, "{x"), b"{}", ""),
    "JSON without an end": (CommandResult(0, json.dumps(CADDY)), b"[" * 200_000, ""),
}  # fmt: skip


@pytest.mark.parametrize(("adapted", "answer", "found"), RUNS.values(), ids=RUNS)
def test_running_caddy_configuration_is_compared_with_its_files(adapted, answer, found):
    def caddy(config):
        config["infra:hosts"]["services"]["proxy"] = "caddy"

    world = native_serving(native_release("services", "recall", config=caddy))
    world.answers["caddy adapt"] = adapted

    def has(place, path, timeout=5):
        assert (place, path) == (CADDY_ADMIN, "/config/")
        if isinstance(answer, Exception):
            raise answer
        return answer

    world.socket_has = has  # type: ignore[method-assign]
    assert overrides.list_overrides(world, current(world)) == ([Override("caddy.service", found)] if found else [])
    # One that is not running is named for that alone, and a release starts it
    world.active.discard("caddy.service")
    named = [entry.found for entry in overrides.list_overrides(world, current(world))]
    assert named == ([] if found in ("", SILENT, DECLINES) else [found])
    overrides.check(world, None, current(world))


def test_a_unit_that_systemd_has_not_read_again_is_named():
    """Edited, read, and put back by hand: its file is right, and what is in force is another one."""
    world = serving(release())
    shown = f"Id=docker.service\nNeedDaemonReload=yes\n\nId={UNIT}\nNeedDaemonReload={{}}\n"
    world.answers["systemctl show --property=Id,NeedDaemonReload"] = CommandResult(0, shown.format("no"))
    assert overrides.list_overrides(world, current(world)) == []
    world.answers["systemctl show --property=Id,NeedDaemonReload"] = CommandResult(0, shown.format("yes"))
    (found,) = overrides.list_overrides(world, current(world))
    assert found.path == f"/etc/systemd/system/{UNIT}" and "systemctl daemon-reload" in found.found
