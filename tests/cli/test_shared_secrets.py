"""A value that services of several systems share: it is written once, under infra:secrets.shared, for the systems that
list it."""

import shutil

import pytest
import yaml
from typer.testing import CliRunner

from catalogue.checks import check
from catalogue.loading import load
from catalogue.problems import errors
from catalogue.stack import read_stack, stack_from
from infra import rotating, secret, secret_hosts
from infra.errors import InfraError
from infra.main import app
from rendering.archive import manifest_of
from rendering.host import render
from tests.support import PROD, ROOT

SYSTEM = """
system: {name}
document: x
shared_secrets: [SENTRY_DSN]
services:
  - {{name: {name}-web, kind: compose, purpose: x, port: {port}, image: {{repository: {name}}}, memory: {{limit: 64m}}, secrets: [SENTRY_DSN, KEY]}}
  - {{name: {name}-worker, kind: compose, purpose: x, image: {{repository: {name}}}, memory: {{limit: 64m}}, secrets: [SENTRY_DSN]}}
"""
OWN = {"shop-web": {"KEY": "k1"}, "blog-web": {"KEY": "k2"}}
SHARED = {**OWN, "shared": {"SENTRY_DSN": "https://sentry.example"}}
PLACES = ["blog-web/SENTRY_DSN", "blog-worker/SENTRY_DSN", "shop-web/SENTRY_DSN", "shop-worker/SENTRY_DSN"]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A shop and a blog, each on a host of its own."""
    (tmp_path / "files/systems").mkdir(parents=True)
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    (tmp_path / "files/alerts.yaml").write_text("[]")
    for name, port in (("shop", 8040), ("blog", 8050)):
        (tmp_path / f"files/systems/{name}.yaml").write_text(SYSTEM.format(name=name, port=port))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PULUMI_OPTION_CONFIG_FILE", raising=False)
    return tmp_path


def hosts(**more):
    host = PROD["infra:hosts"]["watchme"]
    systems = {"one": ["shop"], "two": ["blog"], **more}
    return {name: {**host, "systems": names} for name, names in systems.items()}


def made(project, secrets):
    values = {**PROD, "infra:hosts": hosts(), "infra:secrets": secrets, "infra:sshPrivateKey": "k"}
    return load(project, stack_from("prod", values, "Pulumi.prod.yaml"))


def edit(project, name, old, new):
    file = project / f"files/systems/{name}.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def lines(project, secrets):
    return "\n".join(str(problem) for problem in check(made(project, secrets)))


def test_value_of_the_stack_reaches_each_system_that_lists_it(project):
    shared = made(project, SHARED)
    assert errors(check(shared)) == [], lines(project, SHARED)
    versions = {place for host in ("one", "two") for place in secret_hosts.wanted_versions(shared, host)[0]}
    assert versions >= {*PLACES} and all(
        values["SENTRY_DSN"] == "https://sentry.example" for name, values in shared.secrets.items()
    )
    # What each host gets has the services' own names: nothing of a release says where a value came from
    places = {place for file in render(shared, "one").environment_files for place in file.secrets.values()}
    assert places == {"shop-web/SENTRY_DSN", "shop-web/KEY", "shop-worker/SENTRY_DSN"}


def test_value_of_the_service_or_its_system_comes_first(project):
    own = made(project, {**SHARED, "shop": {"SENTRY_DSN": "shops"}, "blog-web": {"KEY": "k2", "SENTRY_DSN": "webs"}})
    values = {name: own.secrets[name]["SENTRY_DSN"] for name in ("shop-web", "shop-worker", "blog-web", "blog-worker")}
    assert values == {
        "shop-web": "shops", "shop-worker": "shops", "blog-web": "webs", "blog-worker": "https://sentry.example",
    }  # fmt: skip
    entries = {entry.path: entry.used_by for entry in secret.stack_secrets(own)}
    assert entries["shared.SENTRY_DSN"] == ("blog-worker",) and entries["blog-web.SENTRY_DSN"] == ("blog-web",)


def test_system_that_does_not_list_it_does_not_get_it(project):
    edit(project, "blog", "shared_secrets: [SENTRY_DSN]\n", "")
    shared = made(project, SHARED)
    assert "SENTRY_DSN" in shared.secrets["shop-web"] and "SENTRY_DSN" not in shared.secrets["blog-web"]
    assert "service blog-web: secret SENTRY_DSN is missing; set it: infra secret set blog-web.SENTRY_DSN" in lines(
        project, SHARED
    )


def test_missing_shared_secret_is_to_be_set_once(project):
    said = lines(project, OWN)
    assert "secret SENTRY_DSN is missing; set it for all that share it: infra secret set shared.SENTRY_DSN" in said
    (entry,) = [entry for entry in secret.stack_secrets(made(project, OWN)) if not entry.is_set]
    assert entry.path == "shared.SENTRY_DSN" and len(entry.used_by) == 4 and entry.state == "missing"
    assert secret.settable(made(project, OWN), "shared.SENTRY_DSN") == ("shared", "SENTRY_DSN")
    with pytest.raises(InfraError, match="nothing names this secret"):
        secret.settable(made(project, OWN), "shared.KEY")


@pytest.mark.parametrize(
    ("change", "secrets", "line"),
    [
        (("[SENTRY_DSN]\nservices", "[SENTRY_DSN, KEYS]\nservices"), SHARED,
         "shared_secrets names KEYS, and no service lists it under secrets; must be a secret of its services"),
        (("shop-worker", "shared"), SHARED, "a system or service is called shared, whose own these would be"),
        (("purpose", "purpose"), {**OWN, "shared": {"SENTRY_DSN": "x", "OLD": "y"}},
         "warning: Pulumi.prod.yaml: infra:secrets.shared: secret OLD is not used; list it under shared_secrets: of sys"),
        (("purpose", "purpose"), {**OWN, "shared": {"SENTRY_DSN": "a\nb"}},
         "infra:secrets.shared.SENTRY_DSN: its value cannot be written"),
    ],
    ids=["a name of no service", "a service of that name", "one that nothing takes", "one in two lines"],
)  # fmt: skip
def test_faults_of_shared_secrets_are_named(project, change, secrets, line):
    edit(project, "shop", *change)
    assert line in lines(project, secrets), lines(project, secrets)


def test_differences_on_hosts_have_the_shared_name(project):
    served, other = made(project, SHARED), made(project, {**SHARED, "shared": {"SENTRY_DSN": "another"}})
    answer = {"release": "a", "manifest": manifest_of(render(served, "one")), "files": {}}
    assert {secret_hosts.path_of(served, place) for place in PLACES} == {"shared.SENTRY_DSN"}
    edited = {item["path"]: "".join(f"{name}=[secret {item['versions'][place]}]\n" for name, place in item["secrets"].items())
              for item in answer["manifest"]["environment_files"]}  # fmt: skip
    said = secret_hosts.differences(other, "one", {**answer, "files": edited})  # type: ignore[arg-type]
    assert said == ["shared.SENTRY_DSN has another value on the host than in the stack"]


def test_rotation_of_a_shared_secret_goes_to_every_host_of_these_systems(project):
    rotation = rotating.plan_rotation(made(project, SHARED), "shared.SENTRY_DSN", False)
    assert [(share.host, share.services) for share in rotation.shares] == [
        ("one", ["shop-web", "shop-worker"]),
        ("two", ["blog-web", "blog-worker"]),
    ]


def test_commands_know_the_shared_secret(project, monkeypatch):
    said = []
    monkeypatch.setattr(secret, "pulumi", lambda *words, value=None: said.append((words, value)))
    sealed = {group: {name: {"secure": "x"} for name in values} for group, values in SHARED.items()}
    keys = ("aws:region", "infra:accountId", "infra:zone", "infra:acmeEmail", "infra:adminCidrs")
    config = {**{key: PROD[key] for key in keys}, "infra:hosts": hosts(), "infra:secrets": sealed}
    (project / "Pulumi.prod.yaml").write_text(yaml.safe_dump({"config": config}))
    assert read_stack(project, "prod").secrets["shared"]

    def run(*words, stdin=None):
        ran = CliRunner().invoke(app, ["secret", *words, "--stack", "prod"], input=stdin)
        assert ran.exit_code == 0, ran.exception
        return ran.stdout

    assert run("show-names").split() == ["blog-web.KEY", "shared.SENTRY_DSN", "shop-web.KEY"]
    (line,) = [line for line in run("list").splitlines() if line.startswith("shared.")]
    assert line.split() == [
        "shared.SENTRY_DSN", "set", "blog-web,", "blog-worker,", "shop-web,", "shop-worker;", "last", "change", "unknown",
    ]  # fmt: skip
    run("set", "shared.SENTRY_DSN", stdin="hunter2\n")
    # A file of one service changes no value of others
    (project / "web.env").write_text("KEY=k3\nSENTRY_DSN=mine\n")
    assert "left out, since shop-web does not list them as secrets of its own: SENTRY_DSN" in run(
        "import", "web.env", "shop-web"
    )
    assert said == [
        (
            ("config", "set", "--stack", "prod", "--secret", "--path", 'infra:secrets["shared"]["SENTRY_DSN"]'),
            "hunter2",
        ),
        (("config", "set", "--stack", "prod", "--secret", "--path", 'infra:secrets["shop-web"]["KEY"]'), "k3"),
    ]
