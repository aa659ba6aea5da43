"""`infra drift --restore`: what is asked, what is done, and what is said of what stays."""

import pytest
from typer.testing import CliRunner

from infra import delivery, hosts, remote, restoring
from infra.errors import InfraError
from infra.main import app
from infra.ssh import Target
from tests.support import ROOT

RELEASE = "3f2a" + "0" * 60
SITE = {"path": "/etc/nginx/sites-available/a.example.com", "found": "was edited", "diff": "-a\n+b"}
DROP_IN = {"path": "/etc/systemd/system/a.service.d/x.conf", "found": "sets MemoryMax of a.service"}
TARGET = Target("box", "192.0.2.1", 22, "root", "", "")


@pytest.fixture
def host(monkeypatch):
    """A host whose drift is taken from a list, one answer after the other; the releases that it went back to."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PULUMI_STACK", "prod")
    answers: list[list[dict]] = []
    gone: list[str] = []
    monkeypatch.setattr(hosts, "targets", lambda *_: {"box": TARGET})
    monkeypatch.setattr(remote, "ask", lambda *_: {"release": RELEASE, "drift": answers.pop(0)})

    def go_back(target, release, *_):
        gone.append(release)
        return {"line": "rolled back on box: no", "code": 1 if "fails" in answers_of else 0}

    answers_of: set[str] = set()
    monkeypatch.setattr(delivery, "go_back", go_back)
    return answers, gone, answers_of


def asked(*words, said=""):
    return CliRunner().invoke(app, ["drift", *words], input=said)


def test_changed_files_are_restored_after_a_confirmation(host):
    answers, gone, _ = host
    answers += [[SITE], []]
    ran = asked("--restore", said="y\n")
    assert ran.exit_code == 0 and gone == [RELEASE]
    assert f"box: restore {SITE['path']} from release 3f2a00000000?" in ran.output
    assert (
        "box: matches release 3f2a00000000 again; the changed files are kept below /var/lib/infra/edited there"
        in ran.output
    )


def test_without_a_yes_nothing_is_done(host):
    answers, gone, _ = host
    answers += [[SITE]]
    ran = asked("--restore", said="n\n")
    assert gone == [] and isinstance(ran.exception, InfraError) and str(ran.exception) == "box: nothing was restored"


def test_unchanged_host_is_not_asked_to_restore(host):
    answers, gone, _ = host
    answers += [[]]
    assert asked("--restore").exit_code == 0 and gone == []


def test_foreign_files_stay_and_are_reported(host):
    answers, _, _ = host
    answers += [[SITE, DROP_IN], [DROP_IN]]
    ran = asked("--restore", "--yes")
    assert ran.exit_code == 2
    assert f"still changed, and not part of the release: {DROP_IN['path']} sets MemoryMax of a.service" in ran.output


def test_failed_restoring_gives_its_reason(host):
    answers, _, how = host
    answers += [[SITE]]
    how.add("fails")
    ran = asked("--restore", "--yes")
    assert ran.exit_code == 1 and "rolled back on box: no" in ran.output


def test_restore_of_the_cloud_is_refused_with_the_command(host):
    ran = asked("--restore", "--cloud")
    assert isinstance(ran.exception, InfraError) and "pulumi up --refresh" in str(ran.exception)


def test_question_names_one_path_and_counts_the_rest():
    answer = {"release": RELEASE, "drift": [SITE, DROP_IN]}
    assert restoring.question("box", answer).startswith(f"box: restore {SITE['path']} and 1 more from release")
