"""`infra drift --adopt`: which file or key of the project a change by hand belongs in, and what is written there."""

import difflib
import hashlib

import pytest
from typer.testing import CliRunner

from infra import hosts, remote
from infra.drift import hand_edits
from infra.drift.deciding import deciding_keys
from infra.errors import InfraError
from infra.main import app
from infra.ssh import Target
from rendering.host import render
from tests.support import ROOT, whole

CONFIG = "/opt/whisper/config.toml"
SOURCE = "files/static/whisper/config.toml"
UNIT = "/etc/systemd/system/whisper-backend.service"


@pytest.fixture(scope="module")
def catalogue():
    return whole()


def host_of(catalogue, system):
    return next(name for name, host in catalogue.stack.hosts.items() if system in host.runs)


@pytest.fixture(scope="module")
def rendered(catalogue):
    return {file.path: file.content for file in render(catalogue, host_of(catalogue, "whisper")).files}


def answers(rendered, path, text):
    """What the agent says of a host where `path` has another text."""
    before = rendered[path].decode()
    diff = "\n".join(
        difflib.unified_diff(before.splitlines(), text.splitlines(), f"release{path}", f"host{path}", lineterm="")
    )
    files = [{"path": path, "sha256": hashlib.sha256(content).hexdigest()} for path, content in rendered.items()]
    return (
        {"release": "a" * 64, "drift": [{"path": path, "found": "was edited", "diff": diff}]},
        {"release": "a" * 64, "manifest": {"files": files}, "files": {path: text}},
    )


def edits(catalogue, rendered, path, text, values=()):
    return hand_edits.edits_of(catalogue, host_of(catalogue, "whisper"), *answers(rendered, path, text), values)


def test_a_file_of_files_static_is_the_diff_of_its_source(catalogue, rendered, tmp_path):
    text = rendered[CONFIG].decode() + "# by hand\n"
    (edit,) = edits(catalogue, rendered, CONFIG, text)
    assert edit.source == SOURCE and edit.content == text.encode()
    assert f"--- a/{SOURCE}" in edit.diff and "+# by hand" in edit.diff
    said = []
    assert hand_edits.write(tmp_path, [edit], said.append) == 0
    assert (tmp_path / SOURCE).read_text() == text and "was written" in said[0]


def test_a_source_that_has_changed_since_is_not_overwritten(catalogue, rendered, tmp_path):
    drift, contents = answers(rendered, CONFIG, rendered[CONFIG].decode() + "# by hand\n")
    contents["manifest"]["files"] = [{"path": CONFIG, "sha256": "0" * 64}]
    (edit,) = hand_edits.edits_of(catalogue, host_of(catalogue, "whisper"), drift, contents, ())
    assert edit.content is None and "not the one that the release brought" in edit.lines()[-1]
    assert hand_edits.write(tmp_path, [edit], print) == 1 and not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("line", "values"),
    [("api_token = 'zq8Tf03kLmN29xYw'", ()), ("greeting = 'correct horse'", ("correct horse",))],
)
def test_a_secret_is_neither_shown_nor_written(catalogue, rendered, line, values):
    (edit,) = edits(catalogue, rendered, CONFIG, rendered[CONFIG].decode() + f"{line}\n", values)
    shown = "\n".join(edit.lines())
    assert edit.content is None and "looks like a secret" in shown and "[secret" in shown
    assert "zq8Tf" not in shown and "correct horse" not in shown


def test_two_copies_that_were_changed_differently_are_left(catalogue, rendered, tmp_path):
    texts = [rendered[CONFIG].decode() + f"# {number}\n" for number in range(2)]
    both = [edit for text in texts for edit in edits(catalogue, rendered, CONFIG, text)]
    said = []
    assert hand_edits.write(tmp_path, both, said.append) == 2
    assert "changed differently" in said[0] and not [*tmp_path.iterdir()]


def test_a_unit_names_the_key_that_decides_it_and_is_never_written(catalogue, rendered):
    text = rendered[UNIT].decode().replace("MemoryMax=2G", "MemoryMax=3G").replace("RestartSec=3", "RestartSec=10")
    text = text.replace("RUST_LOG=info", "RUST_LOG=debug").replace("NoNewPrivileges=yes\n", "")
    (edit,) = edits(catalogue, rendered, UNIT, text)
    assert edit.content is None and edit.source == "files/systems/whisper.yaml"
    assert set(edit.keys) == {
        "service whisper-backend: memory.limit (MemoryMax=3G)",
        "service whisper-backend: directives.Service.RestartSec (RestartSec=10)",
        "service whisper-backend: environment.RUST_LOG (Environment=RUST_LOG=debug)",
        "service whisper-backend: directives.Service.NoNewPrivileges (without NoNewPrivileges=yes)",
    }
    assert "-MemoryMax=2G" in edit.diff and "+MemoryMax=3G" in edit.diff


def test_a_compose_file_names_fields_of_its_services(catalogue):
    host = host_of(catalogue, "watchme")
    files = {file.path: file.content.decode() for file in render(catalogue, host).files}
    service = catalogue.systems["watchme"].compose_services[0]
    path = f"{service.directory}/{service.compose_file}"
    before = files[path]
    after = before.replace(f"mem_limit: {service.memory.limit}", "mem_limit: 77m")
    assert deciding_keys(catalogue, host, path, before, after) == [
        f"service {service.name}: memory.limit (mem_limit: 77m)"
    ]
    assert deciding_keys(catalogue, host, path, before, "a: [") == []


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("        proxy_read_timeout 300s;", "timeout, or read_timeout"),
        ("        client_max_body_size 9m;", "max_body"),
    ],
)
def test_a_site_names_the_field_and_the_path(catalogue, line, field):
    host = host_of(catalogue, "watchme")
    files = {file.path: file.content.decode() for file in render(catalogue, host).files}
    path = next(path for path in files if path.startswith("/etc/nginx/sites-available/"))
    before = files[path]
    head, sep, rest = before.partition("        proxy_http_version")
    (key,) = deciding_keys(catalogue, host, path, before, f"{head}{line}\n{sep}{rest}")
    assert key.startswith("site ") and ", path /" in key and f": {field} ({line.strip()})" in key


def test_the_releases_text_comes_out_of_the_diff():
    before = "".join(f"{number}\n" for number in range(40))
    for after in (
        before.replace("7\n", ""),
        before + "more\n",
        "first\n" + before.replace("30\n", "x\ny\n"),
        "",
        "z\n",
    ):
        diff = "\n".join(difflib.unified_diff(before.splitlines(), after.splitlines(), "a", "b", lineterm=""))
        assert hand_edits.release_text(after, diff) == before


TARGET = Target("box", "192.0.2.1", 22, "root", "", "")


@pytest.fixture
def one_host(monkeypatch, catalogue, rendered):
    """A host on which CONFIG was edited; what the agent answers by verb."""
    drift, contents = answers(rendered, CONFIG, rendered[CONFIG].decode() + "# by hand\n")
    contents["files"]["/x"] = ""
    drift["drift"].append({"path": "/etc/systemd/system/a.service.d/x.conf", "found": "sets MemoryMax of a.service"})
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("infra.cli.hosts.valid_catalogue", lambda *_, **__: catalogue)
    monkeypatch.setattr(hand_edits, "known_secrets", lambda _: [])
    monkeypatch.setattr(hosts, "targets", lambda *_: {host_of(catalogue, "whisper"): TARGET})
    monkeypatch.setattr(remote, "ask", lambda _, verb: {"drift": drift, "contents": contents}[verb])


def asked(*words):
    return CliRunner().invoke(app, ["drift", "--stack", "lab", *words])


def test_the_command_shows_what_would_have_to_be_said(one_host):
    ran = asked("--adopt")
    assert ran.exit_code == 2 and f"{CONFIG} was edited; its source is {SOURCE}" in ran.output
    assert "directives of a.service: MemoryMax" in ran.output
    assert f"{CONFIG} was edited" in asked("--adopt", CONFIG).output


def test_with_write_the_source_is_changed_in_the_working_tree(one_host, monkeypatch, tmp_path):
    monkeypatch.setattr("infra.cli.hosts.project_root", lambda: tmp_path)
    ran = asked("--adopt", CONFIG, "--write")
    assert ran.exit_code == 0 and (tmp_path / SOURCE).read_text().endswith("# by hand\n")


@pytest.mark.parametrize("words", [("--write",), ("/etc/x",), ("--adopt", "--restore"), ("--adopt", "--cloud")])
def test_what_does_not_go_together_is_refused(one_host, words):
    assert isinstance(asked(*words).exception, InfraError)


def test_a_path_that_was_not_changed_is_said(one_host):
    assert f"/etc/x was not changed by hand; changed are: {CONFIG}" in str(asked("--adopt", "/etc/x").exception)


def test_a_host_that_stands_by_is_the_same_and_one_that_leaves_is_none(catalogue, rendered):
    answer = answers(rendered, CONFIG, rendered[CONFIG].decode() + "# by hand\n")
    name = f"{host_of(catalogue, 'whisper')}@ap-southeast-2"
    (edit,) = hand_edits.edits_of(catalogue, name, *answer, ())
    assert edit.source == SOURCE and edit.lines()[0].startswith(f"{name}: {CONFIG}")
    with pytest.raises(InfraError, match="gone leaves the stack"):
        hand_edits.edits_of(catalogue, "gone", *answer, ())
