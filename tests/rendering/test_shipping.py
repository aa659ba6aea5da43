"""infra:logs: where it may lead, and what a host gets for it."""

import ast
import json

import pytest

from catalogue.problems import CatalogueError
from rendering import shipping, watches
from rendering.host import render
from tests.catalogue.changes import configured
from tests.support import catalogue, stack


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
    "to",
    [
        "logs.example.com",
        "udp://logs.example.com",
        "tcp://logs.example.com",
        "tcp://203.0.113.9",
        "tls://a:0",
        "tls://",
    ],
)
def test_what_is_no_server_or_would_be_read_on_the_way_is_refused(to):
    with pytest.raises(CatalogueError, match="infra:logs"):
        stack(configured(logs={"to": to}))
