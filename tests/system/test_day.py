"""A day of an owner in one lab, with clients that ask all the time: a build comes by its workflow and goes back, a secret
is set and rotated, a redirect and a route are added, the site is in maintenance. Nothing fails that was not announced."""

import json
from collections.abc import Iterator

import pytest
import yaml

from tests.support import ROOT, WATCHME
from tests.system.conftest import Ran, System
from tests.system.faults import Load
from tests.system.on import wait_until_well
from tests.system.one_service import CONTAINER, REPOSITORY, SERVICE, push, serving, started

pytestmark = [pytest.mark.lab, pytest.mark.nightly]
YAML = "files/systems/watchme.yaml"
PATHS = [e["routes"][0]["public"] for e in WATCHME["services"] if not e.get("retired") and not e.get("single")]
UNIT, CORS, ROUTE = "    unit: watchme-vault-api.service", "    cors: [GET, POST, OPTIONS]\n", "{public: /vault/}"
KEY = "vault-api.STORAGE_KEY"
FIRST, SECOND = "morning-4f1c0a", "evening-9b27de"


@pytest.fixture(scope="module")
def owner(system: System) -> Iterator[System]:
    """The lab as its owner finds it in the morning; afterwards it serves what it began with."""
    configuration = system.lab.config_file.read_text()
    system.must_up()
    wait_until_well(system)
    yield system
    system.restore_all()
    system.lab.config_file.write_text(configuration)
    push(system, REPOSITORY)
    system.command("infra", "deploy", SERVICE, "--follow", "--stack", "lab")
    system.must_up()


def infra(owner: System, *argv: str, stdin: str | None = None) -> str:
    ran = owner.command("infra", *argv, "--stack", "lab", stdin=stdin)
    assert ran.code == 0, ran.output
    return ran.output


def run_deploy_workflow(owner: System, service: str, digest: str) -> Ran:
    """The step that deploys, as the workflow of this repository has it; the lab's PATH has `infra`."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/deploy-service.yml").read_text())
    (step,) = [step for step in workflow["jobs"]["deploy"]["steps"] if step.get("name") == "Deploy"]
    script = step["run"].replace(".venv/bin/infra", "infra")
    inputs = [f"IMAGE={digest}", f"SERVICE={service}", "STACK=lab"]
    ran = owner.command("env", *inputs, "bash", "-eo", "pipefail", "-c", script)
    (owner.project / "deployed").unlink(missing_ok=True)
    return ran


def environment(owner: System) -> list[str]:
    return json.loads(owner.on_host("docker", "inspect", "-f", "{{json .Config.Env}}", "watchme-vault-api").output)


def test_a_day_loses_no_request(owner: System) -> None:
    with Load(owner, PATHS).going() as load:
        earlier, before = serving(owner), started(owner)
        digest = push(owner, REPOSITORY, build="day")
        deployed = run_deploy_workflow(owner, SERVICE, digest)
        assert deployed.code == 0 and f"{digest[:19]} serves on watchme" in deployed.output, deployed.output
        assert serving(owner) == digest
        after = started(owner)
        assert {name for name in after if after[name] != before[name]} == {CONTAINER}

        owner.edit(YAML, UNIT, f"{UNIT}\n    secrets: [STORAGE_KEY]")
        infra(owner, "secret", "set", KEY, stdin=f"{FIRST}\n")
        assert FIRST not in owner.must_up() and f"STORAGE_KEY={FIRST}" in environment(owner)

        owner.edit(YAML, CORS, f"{CORS}    redirects: [{{public: /safe, to: /vault/health}}]\n")
        owner.edit(YAML, ROUTE, "{public: /vault/}, {public: /archive/}")
        previewed = owner.command("infra", "preview", "--stack", "lab").output
        assert "api.hey-watch.me" in previewed and "restarts" not in previewed.partition("\n")[0], previewed
        owner.must_up()
        assert owner.ask("GET", "/archive/health")[0] == 200
        status, headers, _ = owner.ask("GET", "/safe?of=x")
        assert status == 301 and headers["Location"].endswith("/vault/health?of=x")

        said = infra(owner, "maintenance", "on", "api.hey-watch.me", "--for", "5m")
        assert "api.hey-watch.me is in maintenance until" in said
        assert "api.hey-watch.me is in maintenance until" in owner.command("infra", "status", "--stack", "lab").output
        assert "api.hey-watch.me is served" in infra(owner, "maintenance", "off")

        rotated = infra(owner, "secret", "rotate", KEY, stdin=f"{SECOND}\n")
        assert SECOND not in rotated and f"STORAGE_KEY={SECOND}" in environment(owner)
        assert owner.pulumi("preview", "--expect-no-changes").code == 0

        assert earlier[:19] in infra(owner, "rollback", SERVICE) and serving(owner) == earlier
        assert owner.pulumi("preview", "--expect-no-changes").code == 0
    print(f"requests: {load.count}, the slowest {load.slowest:.1f} s")
    assert load.lost() == {} and min(len(statuses) for statuses in load.answers.values()) > 100
    assert infra(owner, "drift")
