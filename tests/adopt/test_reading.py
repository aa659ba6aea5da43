"""What runs on a host only reads; and the way there and back, over SSH."""

import ast
import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from infra.adopt import keys
from infra.adopt.host import on_host, reading
from infra.errors import InfraError
from infra.main import app
from infra.ssh import fingerprint
from tests.adopt import hosts
from tests.ssh_server import Server
from tests.support import ROOT, execute

SENT = [
    *sorted((ROOT / "catalogue/masking").glob("*.py")), ROOT / "agent/places.py",
    *(ROOT / f"infra/adopt/host/{name}.py" for name in ("on_host", *reading.BESIDE)),
]  # fmt: skip
READS = {
    ("systemctl", "show"), ("docker", "container", "ls"), ("docker", "container", "inspect"), ("docker", "network", "ls"),
    ("docker", "network", "inspect"), ("docker", "image", "inspect"),
}  # fmt: skip


def calls(path: Path) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]


def test_every_command_only_reads():
    assert all(any(words[: len(start)] == start for start in READS) for words in on_host.COMMANDS.values())
    runs = [call for path in SENT for call in calls(path) if ast.unparse(call.func).startswith("subprocess.")]
    assert [ast.unparse(call.args[0]) for call in runs] == ["[*COMMANDS[command], *words]"]


def test_nothing_is_opened_but_for_reading_and_nothing_of_the_system_is_changed():
    allowed = {"lstat", "stat", "readlink", "listdir", "path"}
    # The agent's way to a path can make what is on it, too: of that the program takes what reads
    assert re.findall(r"agent\S* import .*", (ROOT / "infra/adopt/host/on_host.py").read_text()) == [
        "agent.places import read_file"
    ]
    for path in [path for path in SENT if path.name != "places.py"]:
        for call in calls(path):
            name = ast.unparse(call.func)
            if name == "open":
                assert len(call.args) == 1 and {key.arg for key in call.keywords} <= {"encoding"}, ast.unparse(call)
            if name.startswith("os."):
                assert name.split(".")[1] in allowed, name


def test_the_program_needs_nothing_but_python():
    for path in SENT:
        names = {n.split(".")[0] for node in ast.walk(hosts.what_runs(path)) for n in imported(node)}
        # Relative imports are of what is sent too, and so are those that on_host.py has beside it
        own = {"infra"} if path.name == "on_host.py" else set()
        assert names <= {*sys.stdlib_module_names, "agent", *own}, path
    text = ast.unparse(hosts.what_runs(ROOT / "infra/adopt/host/on_host.py"))
    assert re.findall(r"infra\S* import (.*)", text) == [", ".join(reading.BESIDE)]


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []


def asked(payload: dict) -> list[dict]:
    """The program itself, on this machine."""
    text = f"import json, sys\npayload = json.loads(sys.argv[1])\n{reading.program()}"
    argv = [sys.executable, "-I", "-B", "-c", text, json.dumps(payload)]
    done = execute(*argv)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_facts_have_units_containers_and_proxy():
    *steps, last = asked({"ask": "facts"})
    assert [event["step"] for event in steps] == [
        "units", "containers", "crontabs and scripts", "proxy and certificates",
    ]  # fmt: skip
    assert last["facts"]["memory"] > 0 and "root" in {account["name"] for account in last["facts"]["accounts"]}
    expected = hosts.facts_of(*hosts.alone("recall", "services"))
    assert set(last["facts"]) == set(expected)


def test_environment_files_are_reported_by_the_names_of_their_variables(tmp_path):
    (tmp_path / ".env").write_text("# API_KEY=no\nAPI_KEY=hunter2\nexport MODE = fast\n")
    (tmp_path / "app.env").write_text("TOKEN=hunter2\n")
    (tmp_path / "a.conf").write_text("password = hunter2\nmode = fast\n")
    (tmp_path / "link").symlink_to("a.conf")
    (tmp_path / "large").write_bytes(b"x" * (on_host.MOST + 1))
    paths = {name: str(tmp_path / name) for name in (".env", "app.env", "a.conf", "link", "large", "no")}
    # Who asks for the text of variables gets their names all the same
    text = [paths[name] for name in ("a.conf", "app.env", "link", "large", "no")]
    found = asked({"ask": "paths", "text": text, "names": [paths[".env"]], "stat": [str(tmp_path)]})[0]["paths"]
    assert "hunter2" not in json.dumps(found)
    assert found[paths[".env"]]["names"] == ["API_KEY", "MODE"]
    assert found[paths["app.env"]]["names"] == ["TOKEN"] and "text" not in found[paths["app.env"]]
    assert found[paths["a.conf"]]["text"] == "password = __masked__\nmode = fast\n"
    assert found[paths["link"]] == {"kind": "link", "target": "a.conf"}
    assert found[paths["large"]]["text"] is None
    assert found[paths["no"]] == {"kind": "none"} and found[str(tmp_path)]["kind"] == "directory"


def test_secrets_are_masked_on_the_host(tmp_path):
    """Two modules go there as one program: neither may take the other's names."""
    file = tmp_path / "docker-compose.yml"
    file.write_text("services:\n  a:\n    environment:\n      API_KEY: hunter2\n      MODE: fast\n    image: b\n")
    found = asked({"ask": "paths", "text": [str(file)], "names": [], "stat": []})[0]["paths"][str(file)]["text"]
    assert found == hosts.mask_secrets(str(file), file.read_text()) and "MODE: fast" in found


def test_units_are_read_with_drop_ins_instances_and_programs(tmp_path):
    unit = tmp_path / "app@.service"
    unit.write_text("[Service]\nEnvironment=API_KEY=hunter2\nExecStart=/usr/bin/x %i\n")
    (tmp_path / "app@.service.d").mkdir()
    (tmp_path / "app@.service.d" / "more.conf").write_text("[Service]\nNice=5\n")
    (tmp_path / "default.target.wants").mkdir()
    (tmp_path / "default.target.wants" / "app@one.service").symlink_to(unit)
    (tmp_path / "package.service").symlink_to("/usr/lib/systemd/system/package.service")
    account = {"name": "ice", "uid": 4_000_000}
    [found] = on_host._units(str(tmp_path), account, hosts.mask_secrets)
    assert (found["name"], found["account"], found["instances"]) == ("app@.service", "ice", ["one"])
    assert "hunter2" not in json.dumps(found) and list(found["drop_ins"].values()) == ["[Service]\nNice=5\n"]


COMPOSE = {
    "-f": ("ExecStart=/usr/bin/docker-compose -f /a/b.yml up", ["/a/b.yml"]),
    "plugin": ("ExecStart=/usr/bin/docker compose --file=/a/b.yml up -d", ["/a/b.yml"]),
    "two": ("ExecStart=/usr/bin/docker compose -f /a/b.yml -f /a/c.yml up", ["/a/b.yml", "/a/c.yml"]),
    "relative": ("WorkingDirectory=/a\nExecStart=/usr/bin/docker compose -f b.yml up", ["/a/b.yml"]),
    "a comment": ("# docker-compose -f /a/b.yml up\nExecStart=/bin/true", []),
    "none": ("ExecStart=/usr/bin/python3 x.py", []),
    "glued": ("ExecStart=/usr/bin/docker compose -f/a/b.yml up", ["/a/b.yml"]),
    "an option like it": ("ExecStart=/usr/bin/docker compose up -d --force-recreate", []),
    "an option of another file": ("ExecStart=/usr/bin/docker compose --env-file X up", []),
    "after others": (
        "ExecStart=/usr/bin/docker compose --env-file X --profile=p -p shop --file /a/b.yml up",
        ["/a/b.yml"],
    ),
    "an option of its command": ("ExecStart=/usr/bin/docker compose -f /a/b.yml logs -f web", ["/a/b.yml"]),
    "a removal": ("ExecStartPre=/usr/bin/docker-compose rm -fv", []),
    "a shell": ("ExecStart=/bin/sh -c 'docker compose -f /a/b.yml up -d'", ["/a/b.yml"]),
    "a lone dash": ("ExecStart=/usr/bin/docker compose - up", []),
}


@pytest.mark.parametrize(("text", "expected"), COMPOSE.values(), ids=COMPOSE)
def test_the_compose_files_of_a_unit(text, expected):
    assert on_host._compose_files(f"[Service]\n{text}\n") == expected


@pytest.mark.parametrize("words", ["up", "up -d --force-recreate", "--env-file X up", "logs -f web"])
def test_the_compose_file_that_compose_finds_by_itself(tmp_path, words):
    (tmp_path / "docker-compose.yml").touch()
    text = f"[Service]\nWorkingDirectory={tmp_path}\nExecStart=/usr/bin/docker compose {words}\n"
    assert on_host._compose_files(text) == [f"{tmp_path}/docker-compose.yml"]


NAMES = {
    "plain": ("A=1\nexport B = 2\n# C=3\nD=\n", ["A", "B", "D"]),
    "a key in quotes": ('KEY="-----BEGIN X-----\nMIIabc=\nabcd==\n-----END X-----"\nB=2\n', ["KEY", "B"]),
    "lines in quotes": ("A='one\nsecretpart=\n'\nB=2\n", ["A", "B"]),
    "a quote within": ('A="one\\"\nsecretpart=x"\nB=2\n', ["A", "B"]),
    "a key without quotes": ("KEY=-----BEGIN X-----\nMIIabc=\n-----END X-----\nB=2\n", ["KEY", "B"]),
    "a line that goes on": ("A=one\\\nsecretpart=x\nB=2\n", ["A", "B"]),
    "a quote that is not closed": ('A="one\nsecretpart=x\n', ["A"]),
    "an apostrophe": ("A=it's\nB=2\n", ["A", "B"]),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), NAMES.values(), ids=NAMES)
def test_no_line_of_a_value_is_taken_for_a_name(tmp_path, text, expected):
    (tmp_path / ".env").write_text(text)
    found = asked({"ask": "paths", "text": [], "names": [str(tmp_path / ".env")], "stat": []})[0]["paths"]
    assert next(iter(found.values()))["names"] == expected


NETWORKS = {
    "of both kinds": ([{"Subnet": "fd00::/64"}, {"Subnet": "172.28.0.0/16", "Gateway": "172.28.0.1"}], ["172.28.0.0/16"]),
    "of the other kind": ([{"Subnet": "fd00::/64"}], []),
    "without a place": (None, []),
}  # fmt: skip


@pytest.mark.parametrize(("places", "expected"), NETWORKS.values(), ids=NETWORKS)
def test_only_ipv4_subnets_of_networks_are_read(monkeypatch, places, expected):
    answers = {"networks": "1", "network": json.dumps([{"Name": "net", "IPAM": {"Config": places}}])}
    monkeypatch.setattr(on_host, "_ask", lambda command, *_: answers[command])
    assert [network["subnet"] for network in on_host._networks()] == expected


def test_values_of_container_variables_are_not_reported(monkeypatch):
    inspected = {
        "Name": "/shop", "Image": "sha256:1", "State": {"Running": True, "Pid": 0},
        "Config": {
            "Image": "r/shop:latest", "Env": ["API_KEY=hunter2", "PATH=/bin"],
            "Healthcheck": {"Test": ["CMD-SHELL", "curl -H 'X-Key: hunter2' http://localhost:80/up?token=hunter2 || exit 1"]},
            "Labels": {"com.docker.compose.service": "api", "com.docker.compose.project.config_files": "b.yml",
                       "com.docker.compose.project.working_dir": "/a"},
        },
        "HostConfig": {"Memory": 1024, "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8001"}]}},
        "NetworkSettings": {"Networks": {"net": {"IPAddress": "172.28.0.9"}}},
        "Mounts": [
            {"Type": "volume", "Name": "shop_data", "Destination": "/data"}, {"Type": "bind", "Destination": "/conf"},
        ],
    }  # fmt: skip
    answers = {"containers": "1", "container": json.dumps([inspected]), "image": '["r/shop@sha256:2"]'}
    monkeypatch.setattr(on_host, "_ask", lambda command, *_: answers[command])
    [found] = on_host._containers(hosts.mask_secrets, {}) or []
    assert "hunter2" not in json.dumps(found)
    assert found == {
        "name": "shop", "image": "r/shop:latest", "digests": ["r/shop@sha256:2"], "running": True, "memory": 0,
        "limit": 1024, "networks": {"net": "172.28.0.9"}, "ports": [["127.0.0.1", 8001, 80, "tcp"]],
        "health": ["/up"], "key": "api", "files": ["/a/b.yml"], "volumes": {"/data": "shop_data"},
        "said": "",
    }  # fmt: skip


# Over SSH


@pytest.fixture
def there(tmp_path):
    """A host with Recall on it that answers over SSH; `said` changes what it says."""
    made, files = hosts.alone("recall", "services")
    said = {"facts": hosts.facts_of(made, files), "code": 0}

    def answer(sent, given, say):
        payload = json.loads(given)
        say(json.dumps({"step": "units"}))
        if payload["ask"] == "facts":
            say(json.dumps({"facts": said["facts"]}))
        else:
            paths = [path for kind in ("text", "names", "stat") for path in payload[kind]]
            say(json.dumps({"paths": hosts.entries_of(files, paths)}))
        return said["code"]

    server = Server(answer)
    (tmp_path / "key").write_text(server.user_private)
    yield server, said, tmp_path
    server.close()


def run(there, *more: str):
    server, _, folder = there
    words = ["--user", "me", "--identity", str(folder / "key"), "--port", str(server.port), "--stack", "prod", *more]
    return CliRunner().invoke(app, ["adopt", "host", "127.0.0.1", *words])


def test_command_shows_the_yaml_and_its_remarks(there):
    ran = run(there, "--yes", "--system", "recall")
    assert ran.exit_code == 0, ran.output
    assert "system: recall" in ran.stdout and "unit: recall-api.service" in ran.stdout
    assert "\nfiles of a release: " in ran.stdout
    assert all(command.startswith("sudo -n python3 -I -B -c") for command in there[0].commands)
    assert len(there[0].commands) == 3


def test_existing_file_is_not_overwritten(there):
    path = there[2] / "recall.yaml"
    ran = run(there, "--yes", "--write", str(path))
    assert ran.exit_code == 0 and f"written: {path}" in ran.stdout, ran.output
    assert yaml.safe_load(path.read_text())["system"] == "recall"
    again = run(there, "--yes", "--system", "recall", "--write", str(path))
    assert isinstance(again.exception, InfraError) and "already exists" in str(again.exception)


def test_system_is_named_after_the_host_by_default(there):
    assert "system: old-server\n" in run(there, "--yes").stdout


def key_of(server: Server) -> str:
    import base64

    return fingerprint(base64.b64decode(server.host_public.split()[1]))


WRONG = {
    "another host key": (["--host-key", "SHA256:no"], {}, "has the host key SHA256:"),
    "no key file": (["--yes", "--identity", "/no/key"], {}, "/no/key does not exist: --identity names the file"),
    "no such host": (["--yes", "--host", "elsewhere"], {}, "--host elsewhere: stack prod has watchme"),
    "a name with a space": (
        ["--yes", "--system", "My Shop"],
        {},
        "--system My Shop is no name of a system, which is of a-z",
    ),
    "a file with such a name": (
        ["--yes", "--write", "/tmp/My Shop.yaml"],
        {},
        "a system is called as its file, and My Shop is no name",
    ),
    "the program's already": (["--yes"], {"adopted": True}, "runs a release already: infra drift shows"),
    "nothing there": (
        ["--yes"],
        {"units": [], "journald": {}},
        "old-server has no service that the catalogue could describe",
    ),
}


@pytest.mark.parametrize(("more", "facts", "said"), WRONG.values(), ids=WRONG)
def test_each_failure_is_one_line(there, more, facts, said):
    there[1]["facts"] |= facts
    ran = run(there, *more)
    assert isinstance(ran.exception, InfraError) and said in str(ran.exception), ran.output


@pytest.mark.parametrize("more", [["--system", "My Shop"], ["--host", "elsewhere"], ["--write", "/etc/hosts"]])
def test_wrong_options_are_refused_before_the_host_is_asked(there, more):
    ran = run(there, *more)
    assert isinstance(ran.exception, InfraError) and "host key" not in ran.output
    assert there[0].commands == []


def test_host_key_is_confirmed_unless_it_is_pinned(there):
    assert run(there, "--host-key", key_of(there[0])).exit_code == 0
    ran = run(there)
    assert isinstance(ran.exception, SystemExit) or "nothing was read" in str(ran.exception)
    assert key_of(there[0]) in ran.output


def test_missing_sudo_is_reported_with_the_remedy():
    machine = keys.Machine("a", 22, "me", Path("key"), "SHA256:x")
    hint = reading._hint(machine, "me@a: sudo: a password is required")
    assert hint == "; me must be allowed `sudo -n python3`, since only root reads all of it: or --user root"


def test_unreachable_host_is_reported():
    with pytest.raises(InfraError, match=r"127\.0\.0\.1 does not answer SSH: .*; check that its port 1 is open to you"):
        keys.confirmed_host_key("127.0.0.1", 1, None, True)


def test_pinned_host_key_is_used_without_a_question():
    assert keys.confirmed_host_key("127.0.0.1", 1, "SHA256:x", False) == "SHA256:x"


def test_host_key_that_differs_from_the_pinned_one_is_refused(tmp_path):
    server = Server(lambda *_: 0)
    with (
        pytest.raises(InfraError, match=r"127\.0\.0\.1 has the host key SHA256:\S+ instead of SHA256:x"),
        keys.owners("127.0.0.1", server.port, "me", tmp_path / "id", ["SHA256:x"]),
    ):
        pass
    assert server.logins == 0
