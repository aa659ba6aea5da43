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


def test_list_shows_every_secret_once_with_its_state(asked):
    ran = command("list")
    assert [line.split(maxsplit=1) for line in ran.stdout.splitlines()] == [
        ["backup.RESTIC_PASSWORD", "missing          backups"],
        ["registries.ghcr.io", "set              images; last change unknown"],
        ["shop.SHARED", "set              shop-web, shop-worker; last change unknown"],
        ["shop-web.API_KEY", "missing          shop-web"],
        ["shop-worker.OLD", "used by nothing  last change unknown"],
        ["5", "secrets, 2 missing, 1 used by nothing"],
    ]
    assert asked == []


def test_names_alone_are_printed_for_scripts(asked):
    assert command("show-names").stdout.split() == [
        "backup.RESTIC_PASSWORD", "registries.ghcr.io", "shop.SHARED", "shop-web.API_KEY", "shop-worker.OLD",
    ]  # fmt: skip
    assert asked == []


@pytest.mark.parametrize(
    ("lines", "unknown", "code"),
    [([], [], 0), (["box.X has another value"], [], 2), (["a"], ["box does not answer"], 1)],
)
def test_list_compares_with_hosts_on_request(asked, monkeypatch, lines, unknown, code):
    monkeypatch.setattr("infra.preview.live.catalogue_of", lambda stack, complete: None)
    monkeypatch.setattr("infra.secret_hosts.compare", lambda catalogue, entries, only: (lines, unknown))
    ran = CliRunner().invoke(app, ["secret", "list", "--stack", "prod", "--hosts"])
    assert ran.exit_code == code and all(line in ran.stdout for line in [*lines, *unknown, "shop-web.API_KEY"])


SET = {
    "a service's": ("shop-web.API_KEY", 'infra:secrets["shop-web"]["API_KEY"]'),
    "all services' of a system": ("shop.SHARED", 'infra:secrets["shop"]["SHARED"]'),
    "one service's own": ("shop-worker.SHARED", 'infra:secrets["shop-worker"]["SHARED"]'),
    "a registry's": ("registries.quay.io", 'infra:secrets["registries"]["quay.io"]'),
    "the monitor's": ("monitor.webhook", 'infra:secrets["monitor"]["webhook"]'),
}


@pytest.mark.parametrize(("path", "key"), SET.values(), ids=SET)
def test_value_goes_to_pulumi_through_standard_input(asked, path, key):
    ran = command("set", path, stdin=f"{VALUE}\n")
    assert ran.exit_code == 0, ran.output
    assert asked == [(("config", "set", "--stack", "prod", "--secret", "--path", key), VALUE)]


def test_generated_secret_is_not_shown(asked):
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
def test_invalid_secret_is_refused_and_not_stored(asked, tmp_path, words, stdin, said):
    (tmp_path / "FILE").write_text(f"OTHER={VALUE}\n")
    ran = command(*words, stdin=stdin)
    assert ran.exit_code == 1 and said in str(ran.exception) and asked == []


def test_a_value_is_removed(asked):
    assert "no longer has a value" in command("unset", "shop-worker.OLD").stdout
    assert asked == [(("config", "rm", "--stack", "prod", "--path", 'infra:secrets["shop-worker"]["OLD"]'), None)]


def test_import_sets_only_the_secrets_of_the_service(asked, tmp_path):
    (tmp_path / "FILE").write_text(f"export API_KEY='{VALUE}'\nLOG_LEVEL=debug\nSHARED=\n# X=1\n")
    ran = command("import", "FILE", "shop-web")
    assert (
        ran.exit_code == 0
        and "left out, since shop-web does not list them as secrets of its own: LOG_LEVEL" in ran.stdout
    )
    assert [value for _, value in asked] == [VALUE]


PEM = f"-----BEGIN KEY-----\n{VALUE}\n-----END KEY-----"
IMPORTED = {
    "a comment after quotes": (f'API_KEY="{VALUE}" # production', VALUE),
    "a comment after none": (f"API_KEY={VALUE} # production", VALUE),
    "a # of its own": (f"API_KEY={VALUE}#1", f"{VALUE}#1"),
    "a comment alone": (f"API_KEY= # {VALUE}\nSHARED={VALUE}", VALUE),
    "a $ in single quotes": (f"API_KEY='{VALUE}$x'", f"{VALUE}$x"),
    "an escaped quote": (f'API_KEY="{VALUE}\\"x"', f'{VALUE}"x'),
    "Windows lines": (f"A=1\r\nAPI_KEY={VALUE}\r\nB=2\r\n", VALUE),
    "spaces around it": (f"API_KEY = {VALUE} ", VALUE),
    "as Compose also writes it": (f"API_KEY: {VALUE}", VALUE),
    "after a value of lines": (f"CERT='{PEM}'\n\nAPI_KEY={VALUE}", VALUE),
}


@pytest.mark.parametrize(("text", "value"), IMPORTED.values(), ids=IMPORTED)
def test_imported_value_equals_that_of_docker_compose(asked, tmp_path, text, value):
    (tmp_path / "FILE").write_bytes(text.encode())
    ran = command("import", "FILE", "shop-web")
    assert ran.exit_code == 0 and [given for _, given in asked] == [value], ran.exception


NOT_IMPORTED = {
    "several lines in quotes": (f'API_KEY="{PEM}"', "shop-web.API_KEY: the value has a line break"),
    "several lines in single quotes": (f"API_KEY='{PEM}'", "shop-web.API_KEY: the value has a line break"),
    "an escaped line break": (f'API_KEY="{VALUE}\\nx"', "shop-web.API_KEY: the value has a line break"),
    "several lines without quotes": (f"API_KEY={PEM}", "line 3 is not NAME=VALUE (quote a value of several lines)"),
    "an open quote": (f"A=1\nAPI_KEY='{VALUE}\nB=1", "the value of API_KEY begins with a ' that is not closed"),
    "text after quotes": (f"API_KEY='{VALUE}'x", "the value of API_KEY has text after its closing '"),
    "a line separator": (f"API_KEY={VALUE}\u2028x", "the value has a line separator (U+2028)"),
    "a form feed": (f"API_KEY={VALUE}\x0cx", "the value has a control character (U+000C)"),
    "Latin-1's next line": (f"API_KEY={VALUE}\x85x", "the value has a control character (U+0085)"),
    "a separator of files": (f"API_KEY={VALUE}\x1cx", "the value has a control character (U+001C)"),
    "a space of no width": (f"API_KEY={VALUE}\u200b", "the value ends with U+200B (ZERO WIDTH SPACE), an invisible"),
    "a space that does not break": (f"API_KEY=\u00a0{VALUE}", "the value begins with U+00A0 (NO-BREAK SPACE)"),
    "a mark of Windows": (f"API_KEY=\ufeff{VALUE}", "the value begins with U+FEFF (ZERO WIDTH NO-BREAK SPACE)"),
    "one of two": (f"SHARED=x\nAPI_KEY={VALUE}'", "the value has a ', which an environment file cannot hold"),
}


@pytest.mark.parametrize(("text", "said"), NOT_IMPORTED.values(), ids=NOT_IMPORTED)
def test_value_that_docker_compose_reads_differently_is_refused(asked, tmp_path, text, said):
    (tmp_path / "FILE").write_bytes(text.encode())
    ran = command("import", "FILE", "shop-web")
    assert ran.exit_code == 1 and said in str(ran.exception) and asked == []


def test_refusal_of_pulumi_fails_the_command(asked, monkeypatch):
    def refusing(*words, value=None):
        raise InfraError("pulumi config set: passphrase must be set")

    monkeypatch.setattr(secrets, "pulumi", refusing)
    assert "passphrase" in str(command("set", "shop-web.API_KEY", stdin=VALUE).exception)


def test_the_token_of_a_log_server_is_set_where_logs_are_posted(asked, tmp_path):
    assert command("set", "logs.TOKEN", stdin=VALUE).exit_code != 0 and asked == []
    values = CONFIG | {"infra:logs": {"to": "loki+https://logs.example.com", "user": "123"}}
    (tmp_path / "Pulumi.prod.yaml").write_text(yaml.safe_dump({"config": values}))
    assert ["logs.TOKEN", "missing", "logs", "elsewhere"] in [
        line.split() for line in command("list").stdout.splitlines()
    ]
    assert command("set", "logs.TOKEN", stdin=VALUE).exit_code == 0
    ((words, value),) = asked
    assert words[-1] == 'infra:secrets["logs"]["TOKEN"]' and value == VALUE
