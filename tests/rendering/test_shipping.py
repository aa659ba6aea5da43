"""infra:logs: where it may lead, and what a host gets for it."""

import ast
import gzip
import json

import pytest

from catalogue.checks import check
from catalogue.problems import CatalogueError
from components.release import secrets_for
from rendering import shipping, watches
from rendering.archive import build
from rendering.host import render
from tests.catalogue.changes import configured
from tests.support import catalogue, service, stack


def files_of(**logs):
    host = render(catalogue(config=configured(logs=logs) if logs else configured()), "watchme")
    return host, {file.path: file.content.decode() for file in host.files}


def test_without_it_no_host_sends_anything():
    host, files = files_of()
    assert "/etc/infra/logs.json" not in files and "infra-logs.service" not in [unit.name for unit in host.units]


def test_each_host_sends_its_journal_there():
    host, files = files_of(to="tls://logs.example.com")
    (unit,) = [unit for unit in host.units if unit.name == "infra-logs.service"]
    assert {"/etc/infra/logs.json", "/etc/systemd/system/infra-logs.service"} == {*unit.files}
    assert "Description=Sends the journal to tls://logs.example.com" in files["/etc/systemd/system/infra-logs.service"]
    assert json.loads(files["/etc/infra/logs.json"]) == {
        "host": "logs.example.com", "port": 6514, "tls": True, "ca": "", "name": "watchme.prod",
    }  # fmt: skip
    _, plain = files_of(to="tcp://10.20.1.9:1514")
    assert json.loads(plain["/etc/infra/logs.json"])["port"] == 1514


def test_a_change_of_what_the_service_runs_restarts_it():
    """Its unit names the hash of these files, its own and those that it imports."""
    modules = {
        name
        for part in ("shipping", "receivers", "posting")
        for node in ast.walk(ast.parse((watches.AGENT / f"{part}.py").read_text()))
        if isinstance(node, ast.ImportFrom)
        for name in ([alias.name for alias in node.names] if node.module == "agent" else [node.module or ""])
    }
    own = {
        name.removeprefix("agent.")
        for name in modules
        if (watches.AGENT / f"{name.removeprefix('agent.')}.py").exists()
    }
    assert {"store", "outcome", "journal_fields", "world", "posting"} <= own and own <= {*shipping.PARTS}


@pytest.mark.parametrize(
    ("to", "place"),
    [
        ("loki+https://logs.example.com", ("loki", "logs.example.com", 443, True, "/loki/api/v1/push")),
        ("otlp+https://logs.example.com:4318", ("otlp", "logs.example.com", 4318, True, "/v1/logs")),
        ("otlp+https://logs.example.com/otlp/v1/logs", ("otlp", "logs.example.com", 443, True, "/otlp/v1/logs")),
        ("loki+http://10.20.1.9:3100/", ("loki", "10.20.1.9", 3100, False, "/loki/api/v1/push")),
        ("otlp+http://192.168.0.9", ("otlp", "192.168.0.9", 80, False, "/v1/logs")),
    ],
)
def test_a_server_that_lines_are_posted_to_has_a_form_and_a_path(to, place):
    host, files = files_of(to=to, user="123")
    config = json.loads(files["/etc/infra/logs.json"])
    assert tuple(config[key] for key in ("form", "host", "port", "tls", "path")) == place
    assert config["user"] == "123" and f"Sends the journal to {to}, " in files["/etc/systemd/system/infra-logs.service"]
    assert host.environment_files == files_of()[0].environment_files


def test_the_token_is_in_no_file_of_the_archive_and_goes_along_with_it():
    def made(**config):
        return catalogue(config=configured(logs={"to": "loki+https://logs.example.com"}, **config))

    token = "a-token-of-loki"
    with_token = made(secrets={"logs": {"TOKEN": token}})
    host = render(with_token, "watchme")
    (place,) = [file for file in host.environment_files if file.path == shipping.TOKEN]
    assert (place.mode, place.owner, place.secrets) == (0o600, "root", {"TOKEN": "logs/TOKEN"})
    (unit,) = [unit for unit in host.units if unit.name == "infra-logs.service"]
    assert shipping.TOKEN in unit.files
    assert token not in repr(host) and token.encode() not in gzip.decompress(build(host).archive)
    assert secrets_for(with_token, "watchme", {})["logs"] == {"TOKEN": token}
    # Another one is another release, without one the host asks for none
    other = render(made(secrets={"logs": {"TOKEN": "another"}}), "watchme")
    assert build(other).id != build(host).id and "logs" not in secrets_for(made(), "watchme", {})
    assert "TOKEN" not in {name for file in render(made(), "watchme").environment_files for name in file.secrets}


def test_a_token_goes_to_no_syslog_server():
    made = catalogue(config=configured(logs={"to": "tls://logs.example.com"}, secrets={"logs": {"TOKEN": "x" * 9}}))
    assert "logs" not in secrets_for(made, "watchme", {})
    assert shipping.TOKEN not in {file.path for file in render(made, "watchme").environment_files}


def test_a_service_called_logs_keeps_its_secrets_to_itself():
    def named(data):
        service(data, "admin").update(name="logs", secrets=["TOKEN"])

    def lines(to):
        made = catalogue(named, configured(logs={"to": to}, secrets={"logs": {"TOKEN": "x" * 9}}))
        return "\n".join(str(problem) for problem in check(made))

    assert "infra:logs: a system or service is called logs, whose own the secrets" in lines("loki+https://a.example")
    assert "called logs" not in lines("tls://a.example")


@pytest.mark.parametrize(
    "to",
    [
        "logs.example.com",
        "udp://logs.example.com",
        "tcp://logs.example.com",
        "tcp://203.0.113.9",
        "tls://a:0",
        "tls://",
        "tls://logs.example.com/path",
        "https://logs.example.com",
        "loki+http://logs.example.com",
        "otlp+http://203.0.113.9:4318",
        "loki+tls://logs.example.com",
        "loki+https://user:word@logs.example.com",
        "loki+https://logs.example.com:70000",
        "loki+https://logs.example.com/push?tenant=a",
        "otlp+https:///v1/logs",
    ],
)
def test_what_is_no_server_or_would_be_read_on_the_way_is_refused(to):
    with pytest.raises(CatalogueError, match="infra:logs"):
        stack(configured(logs={"to": to}))


def test_what_is_allowed_is_said():
    def refusal(**logs):
        with pytest.raises(CatalogueError) as error:
            stack(configured(logs=logs))
        return str(error.value)

    assert "loki+https://, since others could read the logs on their way; loki+http:// only to a private" in refusal(
        to="loki+http://logs.example.com"
    )
    assert "loki+https://logs.example.com or otlp+https://logs.example.com, with a port" in refusal(to="udp://a")
    assert "a user's name in ASCII, without blanks and without :" in refusal(to="loki+https://a.example", user="a:b")
