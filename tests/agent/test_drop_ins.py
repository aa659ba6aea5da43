"""Where systemd takes a unit's settings from, and what of a release's they change there."""

import pytest

from agent import overrides, proxies, store
from agent.dropins import directives, overridden_settings, starts_otherwise
from tests.agent.conditions import watchme
from tests.agent.fake import FakeWorld
from tests.agent.native import USER, release, serving

UNIT = "watchme-ast-api.service"
INSTANCE = "vocoder@production.service"
SYSTEM, RUN = "/etc/systemd/system", "/run/user/1003/systemd"
TIMEOUT = b"[Service]\nTimeoutStartSec=5\n"
OTHER = b"[Service]\nExecStart=\nExecStart=/bin/other\n"


def found(world: FakeWorld) -> list[tuple[str, str]]:
    current = store.current(world)
    assert current
    return [(path, what) for path, what in overrides.list_overrides(world, current)]


def lay(world: FakeWorld, path: str, text: bytes) -> None:
    world.files[path] = (text, 0o644, "root", "root")


OF_SYSTEM = [
    f"{place}/{UNIT}.d/x.conf"
    for place in (
        SYSTEM, "/etc/systemd/system.control", "/etc/systemd/system.attached", "/run/systemd/system",
        "/run/systemd/system.attached", "/run/systemd/generator", "/run/systemd/generator.early",
        "/run/systemd/generator.late", "/run/systemd/transient", "/usr/local/lib/systemd/system",
    )
] + ["/run/systemd/system/watchme-ast-.service.d/x.conf"]  # fmt: skip


@pytest.mark.parametrize("path", OF_SYSTEM)
def test_drop_in_is_found_in_every_directory_of_systemd(path):
    world = watchme()
    lay(world, path, TIMEOUT)
    assert found(world) == [(path, f"sets TimeoutStartSec of {UNIT}")]


OF_ACCOUNT = [
    f"{place}/{folder}/x.conf"
    for place in (
        USER, f"{USER}.control", "/home/ice/.local/share/systemd/user", "/etc/systemd/user", "/run/systemd/user",
        "/usr/local/lib/systemd/user", "/usr/local/share/systemd/user", f"{RUN}/user", f"{RUN}/user.control",
        f"{RUN}/transient", f"{RUN}/generator.late",
    )
    for folder in (f"{INSTANCE}.d", "vocoder@.service.d")
]  # fmt: skip


@pytest.mark.parametrize("path", OF_ACCOUNT)
def test_instance_is_compared_with_its_template(path):
    world = serving(release("home"))
    lay(world, path, OTHER)
    assert (path, f"sets ExecStart of ice/{INSTANCE}") in found(world) and {entry[0] for entry in found(world)} == {
        path
    }


@pytest.mark.parametrize(
    "path",
    [
        f"{RUN}/user.control/{INSTANCE}", f"{RUN}/transient/vocoder@.service", f"{USER}/{INSTANCE}",
        f"/usr/local/lib/systemd/user/{INSTANCE}",
    ],
)  # fmt: skip
def test_a_unit_that_hides_the_releases_is_named(path):
    world = serving(release("home"))
    lay(world, path, OTHER)
    assert (path, f"replaces ice/{INSTANCE}") in found(world)
    assert {entry[0] for entry in found(world)} == {path}


def test_alias_of_a_template_counts_as_the_template():
    world = serving(release("home"))
    world.links[f"{USER}/{INSTANCE}"] = f"{USER}/vocoder@.service"
    assert found(world) == []


def test_first_of_two_drop_ins_with_one_name_counts():
    """The release's own is `override.conf`, in the account's directory."""
    world = serving(release("home"))
    lay(world, "/usr/local/lib/systemd/user/vocoder.service.d/override.conf", OTHER)
    assert found(world) == []
    path = f"{USER}.control/vocoder.service.d/override.conf"
    lay(world, path, b"")
    assert found(world) == [(path, f"replaces {USER}/vocoder.service.d/override.conf")]


MANY = {
    "many": {f"{number:05}.conf": b"# nothing" for number in range(1000)},
    "large ones": {f"{number}.conf": b"#" * 64 * 1024 for number in range(5)},
    "a large one": {"x.conf": b"#" * 300 * 1024 + b"\n" + TIMEOUT},
}


@pytest.mark.parametrize("files", MANY.values(), ids=MANY)
def test_more_drop_ins_than_a_unit_has_are_named_and_not_read(files, monkeypatch):
    """An account can lay one a thousand times, and each release and each look of the monitor would read them all."""
    world, folder = serving(release("home")), f"{USER}/vocoder.service.d"
    for name, text in files.items():
        lay(world, f"{folder}/{name}", text)
    read, head = [], world.head
    monkeypatch.setattr(world, "head", lambda path, size: read.append(head(path, size)) or read[-1])
    ((path, what),) = found(world)
    assert path.startswith(folder) and what.startswith(
        "is beyond the limit of drop-ins that are checked for ice/vocoder.service: 64 drop-ins"
    )
    assert len(read) <= 65 and sum(map(len, read)) <= 256 * 1024 + 1


MEANT = {
    "yes": ("NoNewPrivileges=true", "NoNewPrivileges=yes", []),
    "one": ("PrivateTmp=on", "PrivateTmp=1", []),
    "no": ("NoNewPrivileges=true", "NoNewPrivileges=no", ["NoNewPrivileges"]),
    "bytes": ("MemoryMax=512M", "MemoryMax=536870912", []),
    "a part of a larger unit": ("MemoryMax=1536M", "MemoryMax=1.5G", []),
    "the older name": ("MemoryMax=1G", "MemoryLimit=1024M", []),
    "no limit": ("MemoryMax=512M", "MemoryMax=infinity", ["MemoryMax"]),
    "the number zero": ("MemoryMax=0B", "MemoryMax=no", ["MemoryMax"]),
    "a share": ("MemoryMax=50%", "MemoryMax=50", ["MemoryMax"]),
    "both limits": ("LimitNOFILE=65536", "LimitNOFILE=64K:65536", []),
    "another lower limit": ("LimitNOFILE=65536", "LimitNOFILE=1024:65536", ["LimitNOFILE"]),
    "seconds": ("TimeoutStopSec=30", "TimeoutStopSec=30s", []),
    "a minute": ("TimeoutStopSec=90", "TimeoutStopSec=1min 30s", []),
    "an hour": ("RestartSec=60min", "RestartSec=1h", []),
    "parts of a second": ("RestartSec=0.1", "RestartSec=100ms", []),
    "a month": ("RestartSec=1m", "RestartSec=1M", ["RestartSec"]),
    "a second is no minute": ("TimeoutStopSec=30", "TimeoutStopSec=30min", ["TimeoutStopSec"]),
    "a word": ("Restart=always", "Restart=no", ["Restart"]),
    "a variable taken away": ("Environment=TOKEN=a B=c", "UnsetEnvironment=TOKEN OTHER", ["UnsetEnvironment=TOKEN"]),
    "with its value": ("Environment=TOKEN=a", "UnsetEnvironment=TOKEN=a", ["UnsetEnvironment=TOKEN"]),
    "of a file": ("EnvironmentFile=/etc/x", "UnsetEnvironment=IN_A_FILE", ["UnsetEnvironment=IN_A_FILE"]),
    "one that the release does not have": ("Environment=TOKEN=a", "UnsetEnvironment=HOME", []),
    "a condition": ("Restart=always", "ConditionPathExists=/x", ["ConditionPathExists"]),
    "an assertion": ("Restart=always", "AssertPathExists=/x", ["AssertPathExists"]),
    "the release's own condition": ("ConditionPathExists=/x", "ConditionPathExists=/x", []),
    "no condition any more": ("ConditionHost=a", "ConditionHost=", ["ConditionHost"]),
}


@pytest.mark.parametrize(("ours", "theirs", "names"), MEANT.values(), ids=MEANT)
def test_equivalent_values_are_no_override(ours, theirs, names):
    parts = [directives(f"[Service]\n{text}\n".encode(), file) for text, file in ((ours, ""), (theirs, "x.conf"))]
    assert overridden_settings(*parts, frozenset({"IN_A_FILE"})) == names


STARTS = {
    "nginx": {
        "/usr/sbin/nginx -g 'daemon on; master_process on;'": False, "-/sbin/nginx -c /etc/nginx/nginx.conf": False,
        "/opt/nginx/sbin/nginx -c/etc/nginx/nginx.conf": False, "": False, "/usr/sbin/nginx -c /srv/nginx.conf": True,
        "/usr/sbin/nginx -c/srv/nginx.conf": True, "/usr/sbin/nginx -p /srv": True, "/opt/nginx/sbin/nginx": True,
        "/bin/sh -c 'exec nginx'": True, "/usr/sbin/nginx -c 'unclosed": True, "''": True,
    },
    "caddy": {
        "/usr/bin/caddy run --environ --config /etc/caddy/Caddyfile": False, "": False,
        "/usr/local/bin/caddy run -c /etc/caddy/Caddyfile --adapter=caddyfile --watch": False,
        "/usr/bin/caddy run --environ": True, "/usr/bin/caddy run --config=/srv/Caddyfile": True,
        "/usr/bin/caddy run --resume --config /etc/caddy/Caddyfile": True, "/usr/bin/caddy file-server": True,
        "/usr/bin/caddy run --config /etc/caddy/Caddyfile --adapter nginx": True,
        "/usr/bin/caddy run --config ${CONFIG}": True,
    },
}  # fmt: skip
COMMANDS = [(f"{name}.service", *row) for name, rows in STARTS.items() for row in rows.items()]


@pytest.mark.parametrize(("unit", "command", "otherwise"), COMMANDS)
def test_unit_that_starts_the_proxy_with_another_configuration_is_found(unit, command, otherwise):
    text = f"[Unit]\nExecStart=/bin/x\n[Service]\nExecStart=\nExecStart={command}\nExecReload=/bin/x\n"
    proxy = proxies.by_unit(unit)
    assert proxy and starts_otherwise(proxy, directives(text.encode())) == otherwise


@pytest.mark.parametrize(("host", "unit"), [("services", "caddy.service"), ("home", "nginx.service")])
def test_a_unit_of_another_proxy_is_not_looked_at(host, unit):
    def config(data):
        data["infra:hosts"]["services"]["proxy"] = "nginx"

    world = serving(release("services", "recall", config=config) if host == "services" else release(host))
    path = f"{SYSTEM}/{unit}.d/x.conf"
    lay(world, path, OTHER)
    assert path not in [entry[0] for entry in found(world)]
