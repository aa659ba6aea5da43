"""`infra secret`: what is named, what is set, and that no value is seen anywhere."""

import shutil

import pytest
import yaml
from typer.testing import CliRunner

from infra import secret as secrets
from infra.errors import InfraError
from infra.main import app
from tests.support import ROOT

VALUE = "hunter2-and-more"
SHOP = """
system: shop
document: x
network: {name: shop, subnet: 172.29.7.0/24, gateway: 172.29.7.1, unit: shop-network.service}
services:
  - {name: shop-web, kind: compose, purpose: x, port: 8040, image: {repository: shop-web}, memory: {limit: 64m}, secrets: [API_KEY, SHARED]}
  - {name: shop-worker, kind: compose, purpose: x, image: {repository: shop-web}, memory: {limit: 64m}, secrets: [SHARED]}
"""
CONFIG = {
    "aws:region": "ap-northeast-1", "infra:accountId": "123456789012", "infra:zone": "shop.example",
    "infra:acmeEmail": "a@shop.example", "infra:adminCidrs": ["198.51.100.7/32"], "infra:backupRegion": "ap-northeast-3",
    "infra:hosts": {"box": {"kind": "ec2", "systems": ["shop"]}},
    "infra:secrets": {
        "shop": {"SHARED": {"secure": "x"}}, "shop-worker": {"OLD": {"secure": "x"}}, "registries": {"ghcr.io": {"secure": "x"}},
    },
}  # fmt: skip


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What Pulumi is asked, in a project with a shop."""
    (tmp_path / "files/systems").mkdir(parents=True)
    shutil.copy(ROOT / "files/alerts.yaml", tmp_path / "files")
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    (tmp_path / "files/systems/shop.yaml").write_text(SHOP)
    (tmp_path / "Pulumi.prod.yaml").write_text(yaml.safe_dump({"config": CONFIG}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PULUMI_OPTION_CONFIG_FILE", raising=False)
    said = []
    monkeypatch.setattr(secrets, "pulumi", lambda *words, value=None: said.append((words, value)))
    return said


def command(*words, stdin=None):
    ran = CliRunner().invoke(app, ["secret", *map(str, words), "--stack", "prod"], input=stdin)
    assert VALUE not in ran.output and VALUE not in str(ran.exception)
    return ran


def test_the_list_has_every_secret_once_with_its_state(asked):
    ran = command("list")
    assert [line.split(maxsplit=1) for line in ran.stdout.splitlines()] == [
        ["backup.RESTIC_PASSWORD", "missing          backups"],
        ["registries.ghcr.io", "set              images"],
        ["shop.SHARED", "set              shop-web, shop-worker"],
        ["shop-web.API_KEY", "missing          shop-web"],
        ["shop-worker.OLD", "used by nothing"],
        ["5", "secret(s), 2 missing, 1 used by nothing"],
    ]
    assert asked == []


SET = {
    "a service's": ("shop-web.API_KEY", 'infra:secrets["shop-web"]["API_KEY"]'),
    "all services' of a system": ("shop.SHARED", 'infra:secrets["shop"]["SHARED"]'),
    "one service's own": ("shop-worker.SHARED", 'infra:secrets["shop-worker"]["SHARED"]'),
    "a registry's": ("registries.quay.io", 'infra:secrets["registries"]["quay.io"]'),
    "the monitor's": ("monitor.webhook", 'infra:secrets["monitor"]["webhook"]'),
}


@pytest.mark.parametrize(("path", "key"), SET.values(), ids=SET)
def test_a_value_goes_to_pulumi_by_its_standard_input(asked, path, key):
    ran = command("set", path, stdin=f"{VALUE}\n")
    assert ran.exit_code == 0, ran.output
    assert asked == [(("config", "set", "--stack", "prod", "--secret", "--path", key), VALUE)]


def test_one_that_is_made_is_not_shown(asked):
    ran = command("set", "shop-web.API_KEY", "--generate")
    ((_, value),) = asked
    assert len(value) >= 40 and value not in ran.output
    command("set", "shop-web.API_KEY", "--generate")
    assert asked[1][1] != value


REFUSED = {
    "nothing names it": (
        ["set", "shop-web.APIKEY"],
        "v\n",
        "nothing names this secret: did you mean 'shop-web.API_KEY'",
    ),
    "no service": (["set", "API_KEY"], "v\n", "nothing names this secret"),
    "no value": (["set", "shop-web.API_KEY"], "", "no value was given; nothing was set"),
    "two lines": (["set", "shop-web.API_KEY"], f"{VALUE}\nb\n", "a line break, which an environment file cannot hold"),
    "a quote": (["set", "shop-web.API_KEY"], f"{VALUE}'\n", "a ', which an environment file cannot hold"),
    "nothing to remove": (["unset", "shop-web.API_KEY"], None, "has no value"),
    "an import for no service": (["import", "FILE", "web"], None, "no running service has this name"),
    "an import of nothing": (["import", "FILE", "shop-worker"], None, "has no secret of shop-worker"),
    "an import of no file": (["import", "none.env", "shop-web"], None, "does not exist"),
}


@pytest.mark.parametrize(("words", "stdin", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_and_nothing_is_set(asked, tmp_path, words, stdin, said):
    (tmp_path / "FILE").write_text(f"OTHER={VALUE}\n")
    ran = command(*words, stdin=stdin)
    assert ran.exit_code == 1 and said in str(ran.exception) and asked == []


def test_a_value_is_removed(asked):
    assert "any more" in command("unset", "shop-worker.OLD").stdout
    assert asked == [(("config", "rm", "--stack", "prod", "--path", 'infra:secrets["shop-worker"]["OLD"]'), None)]


def test_a_file_of_variables_gives_a_service_its_secrets_alone(asked, tmp_path):
    (tmp_path / "FILE").write_text(f"export API_KEY='{VALUE}'\nLOG_LEVEL=debug\nSHARED=\n# X=1\n")
    ran = command("import", "FILE", "shop-web")
    assert ran.exit_code == 0 and "left out, since shop-web names them not as secrets: LOG_LEVEL" in ran.stdout
    assert [value for _, value in asked] == [VALUE]


def test_pulumis_refusal_is_the_commands(asked, monkeypatch):
    def refusing(*words, value=None):
        raise InfraError("pulumi config set: passphrase must be set")

    monkeypatch.setattr(secrets, "pulumi", refusing)
    assert "passphrase" in str(command("set", "shop-web.API_KEY", stdin=VALUE).exception)
