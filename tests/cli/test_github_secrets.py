"""`infra secret push github`: what is written to GitHub, and that no value is a word of a command or of a message."""

import json

import pytest
from typer.testing import CliRunner

from infra import github_secrets
from infra.main import app
from tests.support import catalogue, service

VALUE = "hunter2-and-more"
GH = """#!/usr/bin/python3
import json, os, sys, pathlib
here = pathlib.Path({here!r})
words = sys.argv[1:]
given = sys.stdin.read()
with open(here / "asked", "a") as log:
    log.write(json.dumps([words, given, os.environ.get("GH_DEBUG")]) + "\\n")
if (here / "fails").exists():
    sys.exit("failed to set secret: " + given)
if words[:2] == ["secret", "list"]:
    print(json.dumps([{{"name": "API_KEY", "updatedAt": "2026-10-01T10:00:00Z"}}]))
"""


@pytest.fixture
def gh(tmp_path, monkeypatch):
    """A stand-in of GitHub's program, in a directory that has what it was asked."""
    program = tmp_path / "bin/gh"
    program.parent.mkdir()
    program.write_text(GH.format(here=str(tmp_path)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setenv("GH_DEBUG", "api")
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)
    command = ["/usr/bin/printf", "%s", VALUE]
    made = catalogue(
        lambda data: service(data, "web").update(environment={}, secrets=["API_KEY", "small", "LACKING", "TOKEN"]),
        lambda config: config.update({
            "infra:secrets": {"web": {"API_KEY": VALUE, "small": VALUE}},
            "infra:secretsFrom": {"web": {"TOKEN": {"command": command}}},
        }),
    )  # fmt: skip
    monkeypatch.setattr("infra.cli.secrets.catalogue_of", lambda name: made)
    monkeypatch.setattr(github_secrets, "pulumi", lambda *words: VALUE)
    return tmp_path


def asked(folder):
    file = folder / "asked"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def push(*words):
    ran = CliRunner().invoke(app, ["secret", "push", "github", "--repo", "acme/shop", "--stack", "prod", *words])
    assert VALUE not in ran.output and VALUE not in str(ran.exception)
    return ran


def test_secrets_are_only_listed_without_write(gh):
    ran = push("web.API_KEY", "OTHER=web.small")
    assert ran.exit_code == 0, ran.exception
    assert ran.stdout.splitlines() == [
        "API_KEY  from web.API_KEY  (replaces that of 2026-10-01)",
        "OTHER  from web.small  (new)",
        "nothing was written; --write writes 2 secrets to acme/shop",
    ]
    assert [words[:2] for words, _, _ in asked(gh)] == [["secret", "list"]]


def test_secret_value_goes_only_through_standard_input(gh):
    ran = push("web.API_KEY", "web.TOKEN", "--write", "--environment", "deploy-prod")
    assert ran.exit_code == 0, ran.exception
    place = ["--repo", "acme/shop", "--env", "deploy-prod"]
    assert asked(gh)[1:] == [
        [["secret", "set", "API_KEY", *place], VALUE, None],
        [["secret", "set", "TOKEN", *place], VALUE, None],
    ]
    assert "TOKEN is written to acme/shop, environment deploy-prod" in ran.stdout


def test_passphrase_is_read_from_the_variables_of_pulumi(gh, monkeypatch, tmp_path):
    assert "PULUMI_CONFIG_PASSPHRASE is not set here" in str(push("PULUMI_CONFIG_PASSPHRASE", "--write").exception)
    (tmp_path / "phrase").write_text(f"{VALUE}\n")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(tmp_path / "phrase"))
    assert push("PULUMI_CONFIG_PASSPHRASE", "--write").exit_code == 0
    assert asked(gh)[-1][:2] == [["secret", "set", "PULUMI_CONFIG_PASSPHRASE", "--repo", "acme/shop"], VALUE]


REFUSED = {
    "an unknown one": (["web.API_KYE"], "web.API_KYE: did you mean 'web.API_KEY'?"),
    "one without a value": (["web.LACKING"], "web.LACKING has no value: infra secret set web.LACKING --stack prod"),
    "small letters": (["web.small"], "small: GitHub takes capital letters, digits and _"),
    "GitHub's own": (["GITHUB_TOKEN=web.small"], "not GITHUB_ at the beginning"),
    "one name twice": (["web.API_KEY", "API_KEY=web.small"], "API_KEY is listed twice: web.API_KEY and web.small"),
    "no repository": (["web.API_KEY", "--repo", "shop"], "--repo shop: is no OWNER/NAME of GitHub's"),
    "an option as an environment": (["web.API_KEY", "--environment", "--x"], "is no name of an environment"),
}


@pytest.mark.parametrize(("words", "line"), REFUSED.values(), ids=REFUSED)
def test_invalid_arguments_are_refused_before_github_is_asked(gh, words, line):
    ran = push(*words, "--write")
    assert ran.exit_code == 1 and line in str(ran.exception) and asked(gh) == []


def test_failure_of_gh_is_reported_without_the_value(gh):
    gh.joinpath("fails").touch()
    assert "gh secret list: failed to set secret" in str(push("web.API_KEY", "--write").exception)
    assert asked(gh)[0][0][:2] == ["secret", "list"]


def test_missing_gh_is_reported_with_its_address(gh, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert "gh is not on PATH: install it (https://cli.github.com)" in str(push("web.API_KEY").exception)
