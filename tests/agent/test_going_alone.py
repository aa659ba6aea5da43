"""The programs that go to a host by themselves: they import nothing of the agent, and say JSON lines."""

import ast
import hashlib
import json
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent import copying, program, traffic
from agent.proxies import PROXIES, signs_of_traffic

MANIFEST = b'{"layers": []}'
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
OTHER = f"sha256:{hashlib.sha256(b'other').hexdigest()}"
IMAGE = {"source": "old/web:latest", "to": "new/web:latest", "digest": DIGEST}


def registries(holds: dict[str, bytes], failing: int = 0):
    """skopeo against registries in memory: name → manifest. The first `failing` copies break off."""
    copies = []

    def skopeo(verb, *words):
        name = words[-1].removeprefix("docker://")
        if verb == "inspect":
            found = holds.get(name)
            error = b"" if found is not None else b"reading manifest latest: manifest unknown"
            return SimpleNamespace(returncode=0 if found is not None else 1, stdout=found or b"", stderr=error)
        copies.append((words[-2], words[-1]))
        if len(copies) <= failing:
            return SimpleNamespace(returncode=1, stdout=b"", stderr=b"connection reset by peer")
        holds[name] = MANIFEST
        return SimpleNamespace(returncode=0, stdout=b"", stderr=b"")

    return skopeo, copies


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(copying.time, "sleep", lambda seconds: None)


def test_standalone_program_contains_its_modules():
    for name in ("copying", "data_disk", "moving", "traffic"):
        tree = ast.parse(program(name))
        tree.body = [node for node in tree.body if ast.unparse(node).split("\n")[0] != "if TYPE_CHECKING:"]
        modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not [module for module in modules if module.startswith("agent")]
        assert program(name).rstrip().endswith("main(payload)")


def test_image_is_copied_by_digest_and_verified():
    skopeo, copies = registries({"old/web:latest": MANIFEST})
    assert copying.copy_image(skopeo, IMAGE)["how"] == "copied"
    assert copies == [(f"docker://old/web@{DIGEST}", "docker://new/web:latest")]


def test_present_image_is_not_copied_again():
    skopeo, copies = registries({"old/web:latest": MANIFEST, "new/web:latest": MANIFEST})
    assert copying.copy_image(skopeo, IMAGE)["how"] == "already present" and not copies


def test_newer_tag_in_the_target_is_not_moved_back():
    """What was pushed since the update was planned stays under its tag; the planned image is there by its digest."""
    skopeo, copies = registries(
        {"old/web:latest": MANIFEST, "new/web:latest": b"pushed since", f"new/web@{DIGEST}": MANIFEST}
    )
    assert copying.copy_image(skopeo, IMAGE)["how"] == "already present" and not copies


SKOPEO = """#!/bin/sh
[ "$2" != --help ] || {{ printf '%s\\n' '  -a, --all   Copy all images' '{help}'; exit 0; }}
echo "$@" >> {log}
case $1 in
inspect) [ -e {log}.copied ] && printf '%s' '{manifest}' || {{ echo "manifest unknown" >&2; exit 1; }} ;;
copy)
    case "$*" in *--preserve-digests*) [ '{help}' ] || {{ echo "unknown flag: --preserve-digests" >&2; exit 1; }} ;; esac
    touch {log}.copied
    ;;
esac
"""


@pytest.mark.parametrize("help", ["", "      --preserve-digests   Preserve digests"], ids=["skopeo 1.2", "skopeo 1.9"])
def test_older_skopeo_copies_without_unsupported_options(help, tmp_path, monkeypatch, capsys):
    log = tmp_path / "log"
    (tmp_path / "skopeo").write_text(SKOPEO.format(help=help, log=log, manifest=MANIFEST.decode()))
    (tmp_path / "skopeo").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(copying, "RUN", str(tmp_path))
    copying.main({"images": [IMAGE], "auths": {}})
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said == {"images": [{"to": "new/web:latest", "digest": DIGEST, "how": "copied"}]}
    (copy,) = [line for line in log.read_text().splitlines() if line.startswith("copy")]
    assert ("--preserve-digests" in copy) is bool(help)


def test_message_of_a_registry_is_one_visible_line():
    assert copying.last_line("a\nb \x1b[31mred\x07\r") == "b  [31mred "
    assert len(copying.last_line("x" * 70000)) == 300


def test_a_broken_connection_is_tried_again():
    skopeo, copies = registries({"old/web:latest": MANIFEST}, failing=2)
    assert copying.copy_image(skopeo, IMAGE)["how"] == "copied" and len(copies) == 3


def test_copy_fails_with_the_message_of_the_registry():
    skopeo, _ = registries({"old/web:latest": MANIFEST}, failing=9)
    with pytest.raises(OSError, match="connection reset by peer"):
        copying.copy_image(skopeo, IMAGE)


def test_copy_with_another_digest_is_a_failure():
    skopeo, _ = registries({"old/web:latest": MANIFEST})
    with pytest.raises(OSError, match=f"the copy has {DIGEST}, the original {OTHER}"):
        copying.copy_image(skopeo, IMAGE | {"digest": OTHER})


@pytest.mark.parametrize(("holds", "how"), [({}, "nowhere"), ({"new/web:latest": MANIFEST}, "only here")])
def test_image_missing_in_the_source_is_skipped(holds, how):
    skopeo, copies = registries(holds)
    assert copying.copy_image(skopeo, IMAGE | {"digest": None})["how"] == how and not copies


def test_login_is_not_on_the_command_line(tmp_path, monkeypatch, capsys):
    """Not on a command line, and gone afterwards."""
    commands = []

    def run(command, **_):
        commands.append(command)
        if command[-1] == "--help":
            return SimpleNamespace(returncode=0, stdout=b"", stderr=b"")
        login = Path(command[command.index("--authfile") + 1])
        assert json.loads(login.read_text()) == {"auths": {"old": {"auth": "c2VjcmV0"}}}
        assert (login.stat().st_mode & 0o777, login.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        return SimpleNamespace(returncode=0, stdout=MANIFEST, stderr=b"")

    monkeypatch.setattr(copying, "RUN", str(tmp_path))
    monkeypatch.setattr(subprocess, "run", run)
    copying.main({"images": [IMAGE], "auths": {"old": {"auth": "c2VjcmV0"}}})
    assert not list(tmp_path.iterdir()) and "c2VjcmV0" not in json.dumps(commands) + capsys.readouterr().out


def line(ago: float, client: str, status: int) -> str:
    when = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(time.time() - ago))
    return f'{client} - - [{when}] "GET /health HTTP/2.0" {status} 17 "-" "iOS [1/Jan/2026:00:00:00 +0000] \\"x"\n'


def test_clients_are_counted_from_the_log_of_the_proxy(tmp_path, monkeypatch, capsys):
    log = tmp_path / "access.log"
    log.write_text(
        line(90, "198.51.100.9", 200) + line(5, "198.51.100.1", 200) + line(3, "198.51.100.1", 502)
        + line(2, "198.51.100.7", 404) + line(1, "198.51.100.7", 301) + "no line at all\n"
    )  # fmt: skip
    monkeypatch.setitem(PROXIES, "nginx", replace(PROXIES["nginx"], log=replace(PROXIES["nginx"].log, file=str(log))))
    sockets = (
        '0 0 127.0.0.1:5000 127.0.0.1:8017 users:(("nginx",pid=7,fd=3))\n0 0 127.0.0.1:1 127.0.0.1:2 users:(("sshd"\n'
    )
    monkeypatch.setattr(traffic.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=sockets))
    traffic.main({"within": 30, "failed_within": 4, **signs_of_traffic()})
    said = json.loads(capsys.readouterr().out)
    assert said["open"] == 1 and said["failed"] == 1
    # The log begins later than what is asked for, as one does that was rotated meanwhile
    traffic.main({"within": 30, "failed_within": 100, **signs_of_traffic()})
    assert json.loads(capsys.readouterr().out)["failed"] is None
    # A redirection to TLS and what strangers try are no client's requests; an answer that failed is one
    assert (said["requests"], said["clients"]) == (2, [["198.51.100.1", 2]]) and said["ago"] < 10
