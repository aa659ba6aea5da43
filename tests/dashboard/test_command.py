"""`infra dashboard`: all hosts are asked at once, what does not answer is on the page, no secret is."""

import threading

import pytest
from typer.testing import CliRunner

from catalogue.problems import CatalogueError, Problem
from infra import answers, status
from infra.cli import hosts as commands
from infra.dashboard import facts
from infra.errors import InfraError
from infra.main import app
from tests.dashboard.made_up import NOW, STATUS, overview
from tests.support import whole

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----"
OUTPUTS = {
    "region": "ap-northeast-1", "addresses": {"watchme": "192.0.2.1", "services": "192.0.2.2", "watchme@ap-southeast-2": "192.0.2.9"},
    "releases": {"watchme": {"id": STATUS["release"]}}, "secret": "hunter2",
}  # fmt: skip
EARLIER = "watchme (u@192.0.2.1:22): KeyError: 'overview'"


@pytest.fixture
def asked(monkeypatch):
    """(host, verb) → its answer, or the error instead of it. All hosts must be asked before one may answer."""
    answers = {
        (host, verb): answer
        for host in OUTPUTS["addresses"]
        for verb, answer in (("status", STATUS), ("overview", overview()))
    }
    together = threading.Barrier(len(OUTPUTS["addresses"]), timeout=5)

    def ask(target, verb):
        if verb == "status":
            together.wait()
        answer = answers[target.host, verb]
        if isinstance(answer, InfraError):
            raise answer
        return answer

    monkeypatch.setattr(status.hosts, "outputs", lambda stack: OUTPUTS)
    monkeypatch.setattr(status.hosts, "private_key", lambda stack: KEY)
    monkeypatch.setattr(status.remote, "ask", ask)
    return answers


def collect(*names: str) -> facts.Dashboard:
    def read(name: str):
        if name == "broken":
            raise CatalogueError([Problem("Pulumi.broken.yaml", "stack", "there is no stack 'broken'", "stacks: lab")])
        return whole().stack

    return facts.collect(names, read, NOW)


def test_each_host_says_how_it_is_and_how_it_was(asked):
    (stack,) = collect("lab").stacks
    hosts = {host.host: host for host in stack.hosts}
    assert {*OUTPUTS["addresses"]} <= {*hosts} and hosts["watchme"].overview == overview()
    assert hosts["watchme@ap-southeast-2"].region == "ap-southeast-2"
    assert stack.costs["watchme"] > 0


def test_one_that_does_not_answer_holds_up_no_other(asked):
    asked["watchme", "status"] = InfraError("watchme does not answer")
    asked["services", "overview"] = InfraError("services: the connection was closed")
    hosts = {host.host: host for host in collect("lab").stacks[0].hosts}
    assert (hosts["watchme"].error, hosts["watchme"].answer) == ("watchme does not answer", None)
    assert (
        hosts["services"].answer == STATUS and hosts["services"].overview_error == "services: the connection was closed"
    )


def test_an_earlier_agent_is_said_to_be_one(asked):
    asked["watchme", "overview"] = InfraError(EARLIER)
    hosts = {host.host: host for host in collect("lab").stacks[0].hosts}
    assert hosts["watchme"].overview_error == status.EARLIER_AGENT and hosts["watchme"].answer == STATUS


def test_a_stack_that_cannot_be_asked_holds_up_no_other(asked, monkeypatch):
    one, other = collect("broken", "lab").stacks
    assert "there is no stack 'broken'" in one.error and not one.hosts and other.hosts

    def refuse(stack):
        raise InfraError("stack lab has no hosts yet")

    monkeypatch.setattr(status.hosts, "outputs", refuse)
    shown = collect("lab")
    assert list(facts.silent(shown)) == ["lab: stack lab has no hosts yet"] and shown.language == "en"


@pytest.fixture
def run(asked, monkeypatch, tmp_path):
    monkeypatch.setattr(commands, "stack_of", lambda name: whole().stack)
    monkeypatch.setattr(commands, "stack_names", lambda root: ["dev", "prod"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands, "project_root", lambda: tmp_path)
    monkeypatch.delenv("PULUMI_STACK", raising=False)
    return lambda *words: CliRunner().invoke(app, ["dashboard", *words])


def test_the_command_writes_a_file_without_secrets(run, asked, tmp_path):
    asked["services", "status"] = InfraError("services does not answer")
    ran = run("--stack", "prod")
    assert ran.exit_code == 0, ran.output
    assert ran.stdout.startswith("dashboard.html: ") and "prod: services: services does not answer" in ran.stderr
    text = (tmp_path / "dashboard.html").read_text()
    assert "<h3" in text and "services does not answer" in text
    assert KEY not in text and "hunter2" not in text and "PRIVATE" not in text


def test_all_stacks_of_the_project_can_be_on_it_each_once(run, tmp_path):
    for words, count in ((["--stack", "prod", "--stack", "prod"], 1), (["--all"], 2)):
        ran = run(*words, "--out", "one.html")
        assert ran.exit_code == 0 and (tmp_path / "one.html").read_text().count("<section") == count


def test_without_a_stack_the_command_asks_for_one(run):
    ran = run()
    assert ran.exit_code != 0 and "name a stack with --stack, or all with --all" in str(ran.exception or ran.output)


def test_a_link_is_not_followed(run, tmp_path):
    (tmp_path / "dashboard.html").symlink_to(tmp_path / "elsewhere")
    ran = run("--stack", "prod")
    assert ran.exit_code != 0 and not (tmp_path / "elsewhere").exists()


def test_what_a_host_may_answer_has_a_form():
    assert answers.check_answer("overview", overview(), "web1") == overview()
    for spoilt in (
        {"hours": [{"at": -1}]},
        {"disks": [{"subject": "/", "size": -1, "free": 0}]},
        {"days": {"x": [7]}},
        {"memory": 1},
    ):
        with pytest.raises(InfraError, match="web1: the answer to 'overview' has another form"):
            answers.check_answer("overview", overview(**spoilt), "web1")
