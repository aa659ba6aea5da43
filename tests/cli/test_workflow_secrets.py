"""`infra secret push github` without names: the secrets that the workflows of a repository use."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from catalogue.problems import CatalogueError
from infra import github_secrets, workflow_secrets
from infra.errors import InfraError
from infra.github_secrets import Place
from infra.main import app
from tests.support import ROOT, catalogue, service

VALUE = "hunter2-and-more"
WORKFLOW = """\
# secrets.IN_A_COMMENT
on:
  push:
  workflow_call:
    secrets: {dispatch: {required: true}}
env:
  TOKEN: ${{ secrets.NPM_TOKEN }}
  PLAIN: secrets.NOT_AN_EXPRESSION
jobs:
  build:
    if: vars.RUNNER != '' && github.ref == 'secrets.IN_A_TEXT'
    steps:
      - run: deploy --key "${{ secrets['API_KEY'] }}" --at ${{ vars.REGION || 'x' }}
        env:
          A: ${{ secrets.GITHUB_TOKEN }}
          B: ${{ secrets.dispatch }}
          C: ${{ secrets.npm_token }}
          D: ${{ steps.secrets.outputs.X }}
"""


def checkout(folder: Path, **files: str) -> Path:
    (folder / ".github/workflows").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f".github/workflows/{name}.yml").write_text(text)
    return folder


def test_workflows_are_read_for_what_they_use(tmp_path):
    other = "jobs: {a: {steps: [{run: 'x ${{ toJSON(secrets) }} ${{ secrets.API_KEY }}'}]}}"
    uses = workflow_secrets.read_uses(checkout(tmp_path, deploy=WORKFLOW, other=other))
    assert uses.secrets == {"NPM_TOKEN": ["deploy.yml"], "API_KEY": ["deploy.yml", "other.yml"]}
    assert uses.variables == {"RUNNER": ["deploy.yml"], "REGION": ["deploy.yml"]} and uses.computed == ["other.yml"]


def test_workflows_of_this_project_are_read():
    uses = workflow_secrets.read_uses(ROOT)
    assert {"PULUMI_CONFIG_PASSPHRASE"} <= {*uses.secrets} and "DISPATCH" not in uses.secrets
    assert {"RUNNER", "AWS_REGION"} <= {*uses.variables} and uses.computed == []


def test_folder_without_workflows_and_broken_ones_are_named(tmp_path):
    with pytest.raises(InfraError, match=r"no workflow in .*: name the secrets, or a checkout of the repository by"):
        workflow_secrets.read_uses(tmp_path)
    with pytest.raises(CatalogueError, match=r"broken\.yml"):
        workflow_secrets.read_uses(checkout(tmp_path, broken="a: [\n"))


@pytest.fixture
def gh(tmp_path, monkeypatch):
    """A stack with secrets, and what GitHub's program is asked."""
    made = catalogue(
        lambda data: service(data, "web").update(environment={}, secrets=["API_KEY", "LACKING", "TWICE"])
        or service(data, "admin").update(environment={}, secrets=["TWICE"]),
        lambda config: config.update({
            "infra:secrets": {"web": {"API_KEY": VALUE, "TWICE": VALUE}, "admin": {"TWICE": VALUE}}
        }),
    )  # fmt: skip
    asked = []
    answers = {"secret": ["OLD"], "variable": ["REGION"]}

    def run(*words, value=None):
        asked.append((words, value))
        return json.dumps([{"name": name, "updatedAt": "2026-10-01T10:00:00Z"} for name in answers[words[0]]])

    monkeypatch.setattr("infra.cli.secrets.catalogue_of", lambda name: made)
    monkeypatch.setattr(github_secrets, "pulumi", lambda *words: VALUE)
    monkeypatch.setattr(github_secrets, "_gh", run)
    monkeypatch.chdir(tmp_path)
    return asked


def push(*words):
    ran = CliRunner().invoke(app, ["secret", "push", "github", "--repo", "acme/shop", "--stack", "prod", *words])
    assert VALUE not in ran.output and VALUE not in str(ran.exception)
    return ran


def using(*names, variables=()):
    parts = [*(f"${{{{ secrets.{name} }}}}" for name in names), *(f"${{{{ vars.{name} }}}}" for name in variables)]
    return f"env: {{A: '{' '.join(parts)}'}}\n"


def test_what_the_stack_has_is_offered_and_the_rest_is_named(gh, tmp_path):
    checkout(tmp_path, ci=using("API_KEY", "OLD", "NONE", "LACKING", "TWICE", variables=("REGION", "RUNNER")))
    ran = push()
    assert ran.exit_code == 2 and ran.stdout.splitlines() == [
        "API_KEY  from web.API_KEY  (new)",
        "LACKING  web.LACKING has no value: infra secret set web.LACKING --stack prod; missing in acme/shop  (ci.yml)",
        "NONE  not in stack prod; missing in acme/shop  (ci.yml)",
        "OLD  not in stack prod; acme/shop has it since 2026-10-01  (ci.yml)",
        "TWICE  several secrets have this name: say which, such as TWICE=admin.TWICE; missing in acme/shop  (ci.yml)",
        "variable RUNNER  missing in acme/shop: gh variable set RUNNER --repo acme/shop  (ci.yml)",
        "nothing was written; --write writes 1 secret to acme/shop",
    ]
    assert all(words[1] == "list" for words, _ in gh)


def test_what_the_stack_has_is_written_by_standard_input(gh, tmp_path):
    folder = checkout(tmp_path / "shop", ci=using("api_key", "OLD"))
    ran = push("--checkout", str(folder), "--write")
    assert ran.exit_code == 0 and "API_KEY is written to acme/shop" in ran.stdout
    assert gh[-1] == (("secret", "set", "API_KEY", "--repo", "acme/shop"), VALUE)
    # No variable is used: it is asked for none
    assert [words[0] for words, _ in gh] == ["secret", "secret"]


def test_environment_has_the_secrets_of_its_repository_too(gh, tmp_path):
    checkout(tmp_path, ci=using("OLD", variables=("REGION",)))
    ran = push("--environment", "deploy-prod")
    assert (
        ran.exit_code == 0 and "OLD  not in stack prod; acme/shop, environment deploy-prod has it since" in ran.stdout
    )
    assert [words[2:-2] for words, _ in gh if words[0] == "variable"] == [
        ("--repo", "acme/shop"),
        ("--repo", "acme/shop", "--env", "deploy-prod"),
    ]


def test_passphrase_is_offered_and_secrets_of_one_name_are_chosen_by_hand():
    uses = workflow_secrets.Uses({"PULUMI_CONFIG_PASSPHRASE": ["up.yml"]}, {}, ["odd.yml"])
    offer = workflow_secrets.offer(uses, [], Place("acme/shop"), {}, "prod")
    assert [target.of for target in offer.targets] == [None] and not offer.is_lacking
    assert offer.lines == ["odd.yml works out names of secrets or variables as it runs: those are not listed here"]
