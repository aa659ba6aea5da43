"""The workflows: valid, pinned, and with no more rights than they need."""

import re
from importlib.metadata import version

import pytest
import yaml

from catalogue.pushers import Pusher
from infra.preview.command import write_fingerprints
from infra.preview.report import Report, StackReport
from lab import tools
from tests.support import ROOT, execute

FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))


@pytest.mark.timeout(600)  # a clean machine builds it first
def test_actionlint_has_nothing_to_say():
    linter = tools.build("actionlint", "github.com/rhysd/actionlint/cmd/actionlint", "actionlint")
    ran = execute(linter, "-no-color", *FILES, cwd=ROOT, code=None)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert {path.stem for path in FILES} == {
        "check",
        "nightly",
        "preview",
        "comment",
        "up",
        "drift",
        "deploy",
        "deploy-service",
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_and_rights_are_named(path):
    text, workflow = path.read_text(), yaml.safe_load(path.read_text())
    used = re.findall(r"\buses: (\S+)(.*)", text)
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", name) and re.search(r"# v\d", note) for name, note in used), used
    assert "permissions" in workflow
    assert "concurrency" in workflow or all("concurrency" in job for job in workflow["jobs"].values())
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")
    # What a product's repository may start a workflow with, and no more
    kept = "PULUMI_CONFIG_PASSPHRASE|GITHUB_TOKEN" + ("|dispatch" if path.stem == "deploy" else "")
    assert not re.search(rf"secrets\.(?!{kept})", text), "no long-lived key"


def test_the_job_that_runs_a_forks_code_has_nothing_to_lose():
    text = (ROOT / ".github/workflows/preview.yml").read_text()
    workflow = yaml.safe_load(text)
    assert workflow[True] == {"pull_request": None} and workflow["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in workflow["jobs"].values())
    assert "secrets." not in text and "id-token" not in text and "github.token" not in text


def test_the_job_that_may_comment_runs_no_code_of_the_pull_request():
    workflow = yaml.safe_load((ROOT / ".github/workflows/comment.yml").read_text())
    (job,) = workflow["jobs"].values()
    checkouts = [step for step in job["steps"] if "checkout" in step.get("uses", "")]
    assert [step["with"] for step in checkouts] == [{"persist-credentials": False}], (
        "the default branch, and no other ref"
    )
    assert all("${{" not in step.get("run", "") for step in job["steps"]), (
        "what a fork names goes through the environment"
    )


def test_jobs_that_meet_locks_may_ask_for_runs():
    """Whether the run that left one has ended; with no right to change any."""
    for path in FILES:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            steps = [one for one in job.get("steps", []) if re.search(r"infra (up|deploy) ", one.get("run", ""))]
            tokens = [one["env"].get("GITHUB_TOKEN") for one in steps]
            assert tokens == ["${{ github.token }}"] * len(steps), f"{path.stem}: {name}"
            assert not steps or job["permissions"]["actions"] == "read", f"{path.stem}: {name}"


def test_fingerprint_is_read_from_the_preview(tmp_path):
    """By the workflow's own command, out of a file that no text of a host is in."""
    plan = "live-9bba4a3259-4f53cda18c-a8aaf8890b-1f3870be27"
    stack = StackReport(
        "prod", plan, source="live", hosts_say=["x\nprod live-1111111111-2222222222-3333333333-4444444444"]
    )
    write_fingerprints(Report("deployed now", "head", [stack]), tmp_path / "fingerprints")
    command = re.search(r"\$\((sed -n .* fingerprints)\)", (ROOT / ".github/workflows/up.yml").read_text())
    assert command
    ran = execute("sh", "-c", command[1], cwd=tmp_path, code=None)
    assert ran.stdout == f"{plan}\n"


def test_prod_applies_the_approved_plan():
    jobs = yaml.safe_load((ROOT / ".github/workflows/up.yml").read_text())["jobs"]
    assert jobs["prod"]["environment"] == "prod" and jobs["prod"]["needs"] == "plan"
    runs = [step.get("run", "") for step in jobs["prod"]["steps"]]
    assert [run for run in runs if "infra up" in run] == ['.venv/bin/infra up --stack prod --plan "$FINGERPRINT"']


@pytest.mark.parametrize("name", ["up", "deploy-service"])
def test_jobs_that_reach_hosts_open_ssh_and_close_it_in_every_ending(name):
    for job in yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text())["jobs"].values():
        steps = job["steps"]
        runs = [step.get("run", "") for step in steps]
        (first,) = [n for n, run in enumerate(runs) if "infra access open --if-allowed" in run]
        (last,) = [n for n, run in enumerate(runs) if "infra access close" in run]
        (work,) = [n for n, run in enumerate(runs) if re.search(r"infra (up|deploy|preview) |pulumi up", run)]
        assert first < work < last and steps[first]["id"] == "ssh"
        assert steps[last]["if"] == "always() && steps.ssh.outcome != 'skipped'"
        minutes = re.search(r"--for (\d+)m", runs[first])
        assert minutes and job["timeout-minutes"] < int(minutes[1]) <= job["timeout-minutes"] + 10, (
            "no longer than the job"
        )


TOKENS = r"secrets\.|github\.token"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_dependencies_are_installed_before_credentials_are_available(path):
    for name, job in yaml.safe_load(path.read_text())["jobs"].items():
        assert not re.search(TOKENS, str(job.get("env", {}))), name
        installing = [n for n, step in enumerate(job["steps"]) if re.search(r"make|pip|uv ", step.get("run", ""))]
        rights = [n for n, step in enumerate(job["steps"]) if "configure-aws-credentials" in step.get("uses", "")]
        assert not rights or max(installing, default=-1) < min(rights), name
        assert not any(re.search(TOKENS, str(job["steps"][n].get("env", {}))) for n in installing), name


def test_build_and_install_tools_are_locked_by_hash():
    project, lock = ((ROOT / name).read_text() for name in ("pyproject.toml", "uv.lock"))
    assert 'no-build-isolation-package = ["watchme-infra"]' in project
    for name in ("hatchling", "editables"):
        assert re.search(
            rf'name = "{name}"\nversion = "[^"]+"\nsource = .*\n(dependencies = .*\n)?(?s:.*?)hash = "sha256:', lock
        )
    for path in ("requirements-uv.txt", "policy/requirements.txt"):
        text = (ROOT / path).read_text()
        packages = re.findall(r"(?m)^[\w.-]+==", text)
        assert packages and len(packages) == len(re.findall(r"(?m)^[\w.-]+==[^\n]*\\\n    --hash=sha256:", text)), path
    makefile = (ROOT / "Makefile").read_text()
    assert "pip install --quiet --require-hashes -r requirements-uv.txt" in makefile


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_pulumi_plugins_are_installed_in_one_version_before_credentials(path):
    """Else the engine fetches them itself, in the step that holds the passphrase and the session."""
    for name, job in yaml.safe_load(path.read_text())["jobs"].items():
        steps = job["steps"]
        uses = [step for step in steps if step.get("uses", "").startswith("pulumi/actions@")]
        assert all(step["with"]["pulumi-version"] == tools.PULUMI_RELEASE for step in uses), name
        if not uses:
            continue
        wanted = [
            f"pulumi plugin install resource {plugin} {version(f'pulumi-{plugin}')}" for plugin in ("aws", "command")
        ]
        installs = [number for number, step in enumerate(steps) if all(one in step.get("run", "") for one in wanted)]
        credentials = [n for n, step in enumerate(steps) if "configure-aws-credentials" in step.get("uses", "")]
        assert installs and max(installs) < min(credentials), name


DEPLOY = yaml.safe_load((ROOT / ".github/workflows/deploy.yml").read_text())


def step(job: str, name: str) -> str:
    (found,) = [step["run"] for step in DEPLOY["jobs"][job]["steps"] if step.get("name") == name]
    return found


def programs(folder, **scripts):
    """Programs in place of the real ones, which note what they were asked."""
    for name, script in scripts.items():
        path = folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {folder}/asked\n{script}\n')
        path.chmod(0o755)
    return {"PATH": f"{folder}/bin:/usr/bin:/bin"}


def test_product_is_built_before_credentials_are_available():
    steps = DEPLOY["jobs"]["push"]["steps"]
    built = next(n for n, step in enumerate(steps) if step.get("name") == "Build")
    assert built < next(n for n, step in enumerate(steps) if "configure-aws-credentials" in step.get("uses", ""))
    assert DEPLOY["jobs"]["deploy"]["permissions"] == {} and "checkout" not in str(DEPLOY["jobs"]["deploy"])
    for name in ("deploy", "deploy-service"):
        for job in yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text())["jobs"].values():
            assert not any("${{" in step.get("run", "") for step in job["steps"]), "inputs go through the environment"


def test_built_image_is_pushed_by_digest(tmp_path):
    env = programs(
        tmp_path,
        aws='case "$1" in sts) echo 123456789012;; ecr) echo PASSWORD;; esac',
        skopeo='case "$1" in copy) echo sha256:feed > "$4";; login) cat > /dev/null;; esac',
    )  # fmt: skip
    env |= {
        "IMAGE": "shop-web",
        "REGION": "ap-northeast-1",
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_SHA": "c0ffee",
        "GITHUB_OUTPUT": str(tmp_path / "out"),
    }
    ran = execute("bash", "-e", "-c", step("push", "Push"), env=env, code=None)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "out").read_text() == "digest=sha256:feed\n"
    asked = (tmp_path / "asked").read_text()
    assert (
        "docker://123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/shop-web:git-c0ffee" in asked
        and "PASSWORD" not in asked
    )


@pytest.mark.parametrize(("outcome", "code"), [("success", 0), ("failure", 1), ("cancelled", 1)])
def test_outcome_of_the_called_workflow_is_that_of_the_job(tmp_path, outcome, code):
    view = f'if [ "$7" = conclusion ]; then cat {tmp_path}/conclusion; echo {outcome} > {tmp_path}/conclusion; else echo rolled back on box; fi'
    (tmp_path / "conclusion").write_text("\n")
    env = programs(tmp_path, gh=f'case "$1 $2" in "run list") echo 4711;; "run view") {view};; esac', sleep="true")
    env |= {
        "DIGEST": "sha256:feed", "INFRA": "acme/infra", "SERVICE": "shop-web", "STACK": "prod", "GITHUB_REPOSITORY_ID": "1", "GITHUB_RUN_ID": "2",
        "GITHUB_RUN_ATTEMPT": "3", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }  # fmt: skip
    ran = execute("bash", "-e", "-c", step("deploy", "Deploy"), env=env, code=None)
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert ("rolled back on box" in ran.stdout and f"not deployed ({outcome})" in ran.stdout) is (code == 1), ran.stdout
    asked = (tmp_path / "asked").read_text()
    assert (
        "gh workflow run deploy-service.yml --repo acme/infra --raw-field service=shop-web --raw-field image=sha256:feed"
        in asked
    )
    # Two services of one product have runs of their own
    assert 'endswith(" 1-2-3-shop-web")' in asked
    assert (tmp_path / "summary").read_text() == "https://github.com/acme/infra/actions/runs/4711\n"


@pytest.mark.parametrize(
    ("outcome", "state"), [("success", "success"), ("failure", "failure"), ("cancelled", "error"), ("skipped", "error")]
)
def test_commit_gets_the_outcome_as_its_status(tmp_path, outcome, state):
    assert DEPLOY["jobs"]["status"]["permissions"] == {"statuses": "write"}
    env = programs(tmp_path, gh="true") | {
        "OUTCOME": outcome, "SERVICE": "shop-web", "STACK": "prod", "GITHUB_REPOSITORY": "acme/shop", "GITHUB_SHA": "c0ffee",
        "GITHUB_SERVER_URL": "https://github.com", "GITHUB_RUN_ID": "2",
    }  # fmt: skip
    execute("bash", "-e", "-c", step("status", "Status"), env=env)
    asked = (tmp_path / "asked").read_text()
    assert "gh api --method POST repos/acme/shop/statuses/c0ffee --silent " in asked
    assert f"-f state={state} -f context=deploy/prod/shop-web " in asked and asked.strip().endswith("runs/2")


@pytest.mark.parametrize(("platform", "is_emulated"), [("linux/arm64", False), ("linux/amd64,linux/arm64", True)])
def test_image_is_built_with_its_origin_for_each_processor(tmp_path, platform, is_emulated):
    env = programs(tmp_path, docker="true", sudo="true", skopeo="true") | {
        "CONTEXT": ".", "FILE": "", "PLATFORM": platform, "RUNNER_TEMP": str(tmp_path), "GITHUB_SHA": "c0ffee",
        "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/shop", "GITHUB_RUN_ID": "2",
    }  # fmt: skip
    execute("bash", "-e", "-c", step("push", "Build"), env=env)
    asked = (tmp_path / "asked").read_text()
    assert (
        f"docker buildx build --platform {platform} --provenance=false --cache-from type=local,src={tmp_path}" in asked
    )
    assert "--label org.opencontainers.image.url=https://github.com/acme/shop/actions/runs/2 " in asked
    assert ("qemu-user-static" in asked) is is_emulated


def test_layers_are_kept_of_one_build_under_a_key_without_commas(tmp_path):
    (cache,) = [entry["with"] for entry in DEPLOY["jobs"]["push"]["steps"] if "actions/cache" in entry.get("uses", "")]
    for key in (cache["key"], cache["restore-keys"]):
        assert "contains(inputs.platform, ',')" in key and "}-${{ inputs.platform }}" not in key, key
    (tmp_path / "layers").mkdir()
    (tmp_path / "layers/old").touch()
    env = programs(tmp_path, docker=f"mkdir -p {tmp_path}/new-layers; touch {tmp_path}/new-layers/new", skopeo="true") | {
        "CONTEXT": ".", "FILE": "", "PLATFORM": "linux/arm64", "RUNNER_TEMP": str(tmp_path), "GITHUB_SHA": "c0ffee",
        "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/shop", "GITHUB_RUN_ID": "2",
    }  # fmt: skip
    execute("bash", "-e", "-c", step("push", "Build"), env=env)
    assert [path.name for path in (tmp_path / "layers").iterdir()] == ["new"]


def test_an_environment_of_a_pusher_is_the_jobs():
    """By its token a workflow is known by that alone."""
    assert DEPLOY["jobs"]["push"]["environment"] == "${{ inputs.environment }}"
    assert (
        Pusher(services=["a"], environment="production").subject("acme/shop") == "repo:acme/shop:environment:production"
    )


def test_a_deployment_that_does_not_begin_is_an_error(tmp_path):
    env = programs(tmp_path, gh="true", sleep="true", seq="echo 1 2")
    env |= dict.fromkeys(
        (
            "DIGEST",
            "INFRA",
            "SERVICE",
            "STACK",
            "GITHUB_REPOSITORY_ID",
            "GITHUB_RUN_ID",
            "GITHUB_RUN_ATTEMPT",
            "GITHUB_SERVER_URL",
        ),
        "x",
    )
    ran = execute(
        "bash", "-e", "-c", step("deploy", "Deploy"), env=env | {"GITHUB_STEP_SUMMARY": "/dev/null"}, code=None
    )
    assert ran.returncode == 1 and "did not start the deployment" in ran.stdout
