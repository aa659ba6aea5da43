"""Secrets that come from elsewhere: asked for where they are needed, and shown nowhere."""

import json
import subprocess
import sys

import boto3
import pulumi
import pytest

from catalogue.encrypted_values import ENCRYPTED
from catalogue.problems import CatalogueError
from catalogue.stack import read_stack
from components import configuration
from infra import secret, sources
from infra.errors import InfraError
from infra.preview.marks import mark_sources
from tests.components.program import opened, run_program
from tests.support import ROOT, catalogue, emulated_aws, stack

VALUE = "hunter2 and more"


def taking(**named):
    """A stack whose secrets of vault-api come from there."""
    return stack(lambda values: values.update({"infra:secretsFrom": {"vault-api": named}}))


@pytest.fixture
def account(monkeypatch):
    with emulated_aws(monkeypatch):
        boto3.client("ssm", region_name="ap-northeast-1").put_parameter(
            Name="/prod/token", Value=VALUE, Type="SecureString"
        )
        manager = boto3.client("secretsmanager", region_name="ap-northeast-1")
        manager.create_secret(
            Name="prod/shop", SecretString=json.dumps({"token": VALUE, "port": 5432, "list": [], "flag": True})
        )
        manager.create_secret(Name="prod/plain", SecretString=VALUE)
        manager.create_secret(Name="prod/bytes", SecretBinary=b"\0")
        yield


def test_values_come_from_aws(account):
    made = taking(A="ssm:/prod/token", B="secretsmanager:prod/shop#token", C="secretsmanager:prod/plain")
    assert sources.resolve_values(made, {}) == {"vault-api": dict.fromkeys("ABC", VALUE)}
    assert sources.resolve_values(taking(P="secretsmanager:prod/shop#port"), {}) == {"vault-api": {"P": "5432"}}


def test_line_end_of_a_command_is_removed_from_its_value():
    made = taking(A={"command": ["printf", f"{VALUE}\\n"]}, B={"command": ["printf", "%s", VALUE]})
    assert sources.resolve_values(made, {}) == {"vault-api": {"A": VALUE, "B": VALUE}}


def test_secret_with_a_value_is_not_resolved():
    assert sources.resolve_values(taking(A={"command": ["false"]}), {"vault-api": {"A": "x"}}) == {}


WRONG = {
    "no parameter": ("ssm:/prod/none", r"\(ssm:/prod/none\): AWS in ap-northeast-1 says ParameterNotFound"),
    "no secret": ("secretsmanager:none", "says ResourceNotFoundException"),
    "no such key": ("secretsmanager:prod/shop#none", "it is no JSON object with the key none"),
    "no JSON": ("secretsmanager:prod/plain#a", "it is no JSON object with the key a"),
    "no text": ("secretsmanager:prod/shop#list", "its list is no text"),
    "yes or no": ("secretsmanager:prod/shop#flag", "its flag is no text"),
    "another region": (f"secretsmanager:arn:aws:secretsmanager:us-east-1:1:secret:x-{'a' * 6}", "says"),
    "no name": ({"command": ["a\0b"]}, "no command can be called so"),
    "binary": ("secretsmanager:prod/bytes", "it is binary"),
    "a failed command": ({"command": ["sh", "-c", "echo 'not signed in' >&2; exit 3"]}, "exit code 3: not signed in"),
    "no such command": ({"command": ["no-such-program"]}, "'no-such-program' cannot be started: No such file"),
    "nothing": ({"command": ["true"]}, "it is empty"),
    "a control character": ({"command": ["printf", "a\\033b"]}, "which an environment file cannot hold"),
    "no characters": ({"command": ["printf", "\\377"]}, "it prints no text"),
}


@pytest.mark.parametrize(("source", "line"), WRONG.values(), ids=WRONG)
def test_source_without_a_value_is_reported(account, source, line):
    with pytest.raises(InfraError, match=line) as error:
        sources.resolve_values(taking(A=source), {})
    assert str(error.value).startswith("infra:secretsFrom.vault-api.A (") and VALUE not in str(error.value)


def test_all_that_is_wrong_is_named_at_once():
    with pytest.raises(InfraError) as error:
        sources.resolve_values(taking(A={"command": ["false"]}, B={"command": ["true"]}), {})
    assert len(str(error.value).splitlines()) == 2


def test_a_live_check_names_each_reference_without_a_value(account):
    made = taking(A="ssm:/prod/token", B="ssm:/prod/none", C={"command": ["false"]})
    first, second = sources.problems(made)
    assert first.message.startswith(
        "Pulumi.prod.yaml: infra:secretsFrom.vault-api.B: (ssm:/prod/none): AWS in ap-northeast-1"
    )
    assert (
        second.where == "infra:secretsFrom.vault-api.C" and second.level == "error" and VALUE not in f"{first}{second}"
    )
    assert sources.problems(taking(A="ssm:/prod/token")) == []


@pytest.mark.parametrize(
    "source", ["prod/token", "ssm:", "ssm:/a b", "vault:x", {"command": []}, {"command": "op read"}, {"run": ["x"]}, 7]
)
def test_unknown_source_is_refused_with_the_known_ones(source):
    with pytest.raises(CatalogueError) as error:
        taking(A=source)
    assert "infra:secretsFrom.vault-api.A" in str(error.value)


def test_resolved_secrets_are_only_in_the_release(monkeypatch):
    monkeypatch.chdir(ROOT)
    url = "https://hooks.example/hunter2"
    made = run_program({"infra:secretsFrom": {"monitor": {"webhook": {"command": ["printf", url]}}}})
    releases = [
        r.inputs["stdin"] for r in made.of("command:local:Command") if "hunter2" in json.dumps(r.inputs, default=str)
    ]
    assert releases and all(json.loads(opened(text))["secrets"]["monitor"]["webhook"] == url for text in releases)


def test_a_source_without_a_value_stops_the_program(monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(pulumi.RunError) as error:
        run_program({"infra:secretsFrom": {"web": {"TOKEN": {"command": ["false"]}}}})
    assert "nothing was touched" in str(error.value)
    assert "infra:secretsFrom.web.TOKEN (command false): exit code 1" in str(error.value)


@pytest.mark.parametrize(
    "source", ["ssm:/prod/token", "secretsmanager:prod/shop#token", {"command": ["op", "read", "op://prod/shop/token"]}]
)
def test_the_program_asks_for_each_form_as_the_stack_has_it(source):
    made = taking(A=source)
    request = json.loads(json.dumps(configuration.sources_request(made, {"web": {"B": "x"}})))
    assert sources.stack_of(request).secretsFrom == made.secretsFrom and request["given"] == {"web": ["B"]}


def test_output_of_a_failed_command_is_not_reported():
    request = {
        "region": "ap-northeast-1",
        "given": {},
        "sources": {"web": {"A": {"command": ["sh", "-c", f"echo {VALUE}; exit 1"]}}},
    }
    ran = subprocess.run(
        [sys.executable, "-m", "infra.sources"], input=json.dumps(request), capture_output=True, text=True, timeout=60
    )
    assert VALUE not in ran.stdout + ran.stderr and "exit code 1" in json.loads(ran.stdout)["wrong"]


def test_a_command_has_nothing_of_the_stacks_configuration(monkeypatch):
    monkeypatch.setenv("PULUMI_CONFIG", '{"infra:sshPrivateKey": "PRIVATE"}')
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "passphrase")
    made = taking(A={"command": ["sh", "-c", 'printf "%s" "x$PULUMI_CONFIG$PULUMI_CONFIG_PASSPHRASE"']})
    assert sources.resolve_values(made, {}) == {"vault-api": {"A": "x"}}


def test_unresolved_sources_count_as_set(tmp_path):
    file = tmp_path / "Pulumi.x.yaml"
    file.write_text(
        (ROOT / "Pulumi.prod.yaml").read_text() + "  infra:secretsFrom: {web: {TOKEN: 'ssm:/prod/token'}}\n"
    )
    assert read_stack(tmp_path, "x").secrets == {"web": {"TOKEN": ENCRYPTED}}
    file.write_text(file.read_text() + "  infra:secrets: {web: {TOKEN: {secure: v1:x}}}\n")
    with pytest.raises(
        CatalogueError, match=r"infra:secretsFrom: web.TOKEN also has a value in infra:secrets; one of the two"
    ):
        read_stack(tmp_path, "x")


def test_list_shows_the_source_of_a_secret():
    made = catalogue(
        config=lambda values: values.update({"infra:secretsFrom": {"monitor": {"webhook": "ssm:/prod/hook"}}})
    )
    (found,) = secret.stack_secrets(made)
    assert (found.path, found.state) == ("monitor.webhook", "from ssm:/prod/hook")
    with pytest.raises(
        InfraError, match=r"monitor.webhook comes from ssm:/prod/hook \(infra:secretsFrom\): change it there"
    ):
        secret.settable(made, "monitor.webhook")
    with pytest.raises(InfraError, match="take it out of infra:secretsFrom in"):
        secret.remove(made, "monitor.webhook")


def test_a_preview_without_aws_has_a_mark_that_changes_with_the_source():
    def marked(source):
        values = {"infra:secretsFrom": {"web": {"TOKEN": source}}}
        mark_sources(values)
        return values["infra:secrets"]["web"]["TOKEN"]

    assert marked("ssm:/a") == marked("ssm:/a") != marked("ssm:/b")
    values = {"infra:secretsFrom": {"web": {"A": "ssm:/a"}}, "infra:secrets": {"web": {"A": "x", "B": "y"}}}
    mark_sources(values)
    assert values["infra:secrets"]["web"] == {"A": "x", "B": "y"}
