"""`infra secret diff`: which hosts have another value than the stack, found without a value."""

import copy

import pytest
from typer.testing import CliRunner

from infra import hosts, remote, secret_hosts
from infra.errors import InfraError
from infra.main import app
from infra.preview import live
from rendering.archive import manifest_of
from rendering.host import render
from tests.support import catalogue, service

VALUES = {"web": {"TOKEN": "hunter2", "OLD": "x"}, "watchme": {"SHARED": "of-all"}}
SPARE = {"web": {"TOKEN": "hunter2"}, "watchme": {"SHARED": "of-all"}}
ENVIRONMENT = "/home/ubuntu/watchme-docker/web.env"


def made(values, names=("TOKEN", "SHARED")):
    return catalogue(
        lambda data: service(data, "web").update(environment={}, secrets=[*names]),
        lambda config: config.update({"infra:secrets": values, "infra:sshPrivateKey": "k"}),
    )


def answer_of(served, text=""):
    """What a host says that got its release from that catalogue."""
    manifest = copy.deepcopy(manifest_of(render(served, "watchme")))
    versions = {place: v for item in manifest["environment_files"] for place, v in item["versions"].items()}
    lines = [f"{place.partition('/')[2]}=[secret {version}]" for place, version in versions.items()]
    return {"release": "a" * 64, "manifest": manifest, "files": {ENVIRONMENT: text or "\n".join([*lines, ""])}}


def differences(stack, host, text="", **names):
    return secret_hosts.differences(made(stack), "watchme", answer_of(made(host, **names), text))


def test_the_same_values_are_no_difference():
    assert differences(SPARE, SPARE) == []


def test_differing_secrets_are_named():
    other = {"web": {"TOKEN": "hunter3"}, "watchme": {"SHARED": "another"}}
    assert differences(SPARE, other) == [
        "watchme.SHARED has another value on the host than in the stack",
        "web.TOKEN has another value on the host than in the stack",
    ]
    assert differences({"web": {"TOKEN": "hunter2"}}, SPARE) == [
        "web.SHARED is on the host, and the stack has no value"
    ]
    assert differences(SPARE, {"web": {"TOKEN": "hunter2"}}) == ["watchme.SHARED has no value on the host yet"]
    assert differences(SPARE, VALUES, names=("TOKEN", "SHARED", "OLD")) == [
        "web.OLD is on the host, and nothing there names it any more"
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("TOKEN=[another value, not shown]\nSHARED=[secret 0]\n", f"web.TOKEN was changed by hand on the host ({ENVIRONMENT})"),
        ("SHARED=[secret 0]\n", f"web.TOKEN was removed by hand on the host ({ENVIRONMENT})"),
    ],
    ids=["another value", "no line"],
)  # fmt: skip
def test_manual_change_on_a_host_is_reported_with_its_file(text, line):
    assert differences(SPARE, SPARE, text) == [line]


def test_a_host_without_a_release_has_no_value_yet():
    lines = secret_hosts.differences(made(SPARE), "watchme", {"release": None})
    assert lines == ["watchme.SHARED has no value on the host yet", "web.TOKEN has no value on the host yet"]


def test_site_password_is_compared_by_its_hash():
    def guarded(password):
        def change(data):
            data["sites"][0]["basic_auth"] = {"alice": "ALICE"}

        return catalogue(
            change, lambda config: config.update({"infra:secrets": {"watchme": {"ALICE": password}}, "infra:sshPrivateKey": "k"})
        )  # fmt: skip

    answer = answer_of(guarded("one"))
    for item in answer["manifest"]["environment_files"]:
        answer["files"][item["path"]] = "".join(f"{user}{item['between']}[secret 0]\n" for user in item["secrets"])
    assert secret_hosts.differences(guarded("one"), "watchme", answer) == []
    assert secret_hosts.differences(guarded("two"), "watchme", answer) == [
        "watchme.ALICE has another value on the host than in the stack"
    ]


@pytest.fixture
def asked(monkeypatch):
    """Host → its answer, of a stack with VALUES and one that is missing."""
    answers = {"watchme": answer_of(made(SPARE)), "gone": {}}
    stack = made(VALUES, names=("TOKEN", "SHARED", "LACKING"))
    monkeypatch.setattr("infra.cli.secrets.catalogue_of", lambda name: stack)
    monkeypatch.setattr(live, "catalogue_of", lambda name, complete: stack)
    monkeypatch.setattr(hosts, "targets", lambda stack, host: {name: name for name in answers if host in (None, name)})

    def ask(target, verb):
        assert verb == "contents"
        if isinstance(answers[target], InfraError):
            raise answers[target]
        return answers[target]

    monkeypatch.setattr(remote, "ask", ask)
    return answers


def diff(*words):
    ran = CliRunner().invoke(app, ["secret", "diff", "--stack", "prod", *words])
    assert "hunter" not in ran.output and "of-all" not in ran.output
    return ran


def test_command_lists_differences_and_exits_with_2(asked):
    asked["watchme"] = answer_of(made({"web": {"TOKEN": "hunter3"}, "watchme": {"SHARED": "of-all"}}))
    ran = diff("--host", "watchme")
    assert ran.exit_code == 2, ran.output
    assert ran.stdout.splitlines() == [
        "stack prod: web.LACKING has no value in the stack",
        "stack prod: web.OLD has a value, and nothing uses it",
        "watchme: web.TOKEN has another value on the host than in the stack",
    ]


def test_a_host_that_cannot_be_compared_holds_up_no_other(asked):
    asked["watchme"] = InfraError("watchme: refused")
    ran = diff()
    assert ran.exit_code == 1
    assert "watchme could not be asked: watchme: refused" in ran.stdout
    assert "gone leaves the stack; it was not asked" in ran.stdout
    asked["watchme"] = {"release": "a", "manifest": {}, "files": {}}
    assert "what it says of its release cannot be read" in diff().stdout
