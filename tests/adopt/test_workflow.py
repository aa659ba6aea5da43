"""A product's own deploy workflow, and the call that takes the place of its steps."""

import subprocess

import pytest
import yaml
from typer.testing import CliRunner

from infra.adopt.workflow import command
from infra.errors import InfraError
from infra.main import app
from tests.adopt.workflows import NOTIFIED, ONE_JOB, ONE_JOB_AFTER, PUSHED_APART, TWO_JOBS, TWO_JOBS_AFTER
from tests.support import ROOT, catalogue, service

OPTIONS = command.AdoptOptions(infra="acme/infra")
STACK = catalogue(lambda data: service(data, "admin").update(secrets=["TOKEN"]))


def adopt(folder, text, options=OPTIONS, stack=STACK):
    """The new text as `patch` makes it of the diff, and the remarks."""
    path = folder / "deploy.yml"
    path.write_bytes(text.encode())
    diff, remarks = command.adopt(stack, path, options)
    ran = subprocess.run(
        ["patch", "--quiet", "--binary", "--output=-", str(path)],
        input=diff.encode(), capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout.decode(), remarks


def test_build_and_deploy_jobs_become_one_call(tmp_path):
    text, remarks = adopt(tmp_path, TWO_JOBS)
    assert text == TWO_JOBS_AFTER
    assert remarks == [
        "no repository may push the image of admin: name it under infra:pushers, and pulumi up",
        "set the variable AWS_ROLE_PUSH of the repository to its role (pulumi stack output pushers --stack prod)",
        "set the secret that the call gives as dispatch to the token of docs/deploying.md",
        "SEARCH_KEY was written to the host, and the catalogue does not name it: under secrets: of admin",
        "TOKEN was written to the host: infra secret set admin.TOKEN --stack prod",
        "secrets that this workflow needs no more: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, BOX_HOST, SEARCH_KEY, "
        "SSH_PRIVATE_KEY, TOKEN",
        "it pushed to ap-southeast-2; stack prod is in ap-northeast-1, and so is the call",
        "step 'Serve' does on the host what nothing does then: ./migrate-by-hand --all",
        "no longer copied to the host, where the catalogue has what they say: docker-compose.prod.yml, run-prod.sh",
        "stays as it is: job test, report",
    ]


def test_other_steps_stay_in_a_job_before_the_call(tmp_path):
    text, remarks = adopt(tmp_path, ONE_JOB)
    assert text == ONE_JOB_AFTER
    assert "the build's build-args is not carried over: write it into the Dockerfile" in remarks
    assert "it built for linux/amd64: the call builds for linux/arm64, as the host is" in remarks
    assert "stays in job ship as it is: actions/checkout; Test" in remarks


def test_image_pushed_in_a_separate_step_is_recognised(tmp_path):
    text, remarks = adopt(tmp_path, PUSHED_APART)
    jobs = yaml.safe_load(text)["jobs"]
    assert list(jobs) == ["image"]
    assert jobs["image"]["with"]["image"] == "watchme-admin" and jobs["image"]["with"]["context"] == "search"
    ran = (
        "step 'appleboy/ssh-action' ran the container by itself: the catalogue has its options; compare: docker run -d "
    )
    assert f"{ran}--name search watchme-admin:latest" in remarks
    assert not any("does on the host" in line for line in remarks)


def test_platform_of_the_build_is_kept_for_an_ssh_host(tmp_path):
    def elsewhere(config):
        own = {"kind": "ssh", "address": "192.0.2.7", "user": "admin", "hostKey": "ssh-ed25519 AAAA", "memory": "16g"}
        config["infra:hosts"] = {"watchme": {**own, "systems": ["watchme"]}}

    text, _ = adopt(tmp_path, ONE_JOB, stack=catalogue(config=elsewhere))
    call = yaml.safe_load(text)["jobs"]["deploy"]["with"]
    assert call["platform"] == "linux/amd64" and call["runner"] == "ubuntu-24.04"


def test_later_steps_wait_for_the_call(tmp_path):
    text, remarks = adopt(tmp_path, NOTIFIED)
    jobs = yaml.safe_load(text)["jobs"]
    assert jobs["ship"]["needs"] == "deploy" and [step.get("name") for step in jobs["ship"]["steps"]] == [
        None,
        "Notify",
    ]
    assert "needs" not in jobs["deploy"] and jobs["deploy"]["with"]["image"] == "watchme-admin"
    assert "step 'Notify' uses an output of step image, which is removed: change it" in remarks


def test_call_has_only_inputs_of_the_workflow(tmp_path):
    takes = yaml.safe_load((ROOT / ".github/workflows/deploy.yml").read_text())[True]["workflow_call"]
    for given in (TWO_JOBS, ONE_JOB, NOTIFIED):
        text, _ = adopt(tmp_path, given)
        (call,) = [job for job in yaml.safe_load(text)["jobs"].values() if "uses" in job]
        required = {name for name, entry in takes["inputs"].items() if entry.get("required")}
        assert required <= {*call["with"]} <= {*takes["inputs"]} and {*call["secrets"]} == {*takes["secrets"]}
    defaults = {name: entry.get("default") for name, entry in takes["inputs"].items()}
    assert all(defaults[name] == value for name, value in command.DEFAULTS.items())


def test_lines_of_windows_and_a_file_without_a_last_line_end_stay_so(tmp_path):
    text, _ = adopt(tmp_path, TWO_JOBS.replace("\n", "\r\n"))
    assert text == TWO_JOBS_AFTER.replace("\n", "\r\n")
    text, _ = adopt(tmp_path, TWO_JOBS.rstrip("\n"))
    assert text == TWO_JOBS_AFTER.rstrip("\n")


def test_options_take_precedence_over_the_workflow(tmp_path):
    unclear = TWO_JOBS.replace("REPOSITORY: watchme-admin", "REPOSITORY: ${{ secrets.NAME }}")
    options = command.AdoptOptions("acme/infra", "web", "watchme-web", "arn:aws:iam::123456789012:role/x", "SHIP")
    text, remarks = adopt(tmp_path, unclear, options)
    call = yaml.safe_load(text)["jobs"]["build"]
    assert call["with"]["service"] == "web" and call["with"]["role"].endswith(":role/x")
    assert call["secrets"] == {"dispatch": "${{ secrets.SHIP }}"} and "AWS_ROLE_PUSH" not in "".join(remarks)


MATRIX = ONE_JOB.replace("    environment: production\n", "    strategy: {matrix: {a: [1]}}\n")
BUILD = "      - run: docker build --push -t $R/{} .\n"
REFUSED = {
    "no YAML": ("jobs: [", "deploy.yml, line 1: is no YAML"),
    "no workflow": ("services: {}\n", "is no workflow of GitHub Actions: it has no jobs"),
    "jobs in one line": ("jobs: {a: {steps: [{run: docker build --push -t $R/watchme-admin .}]}}\n", "are written in one line"),
    "a step by an anchor": (
        ONE_JOB.replace("- uses: docker/build", "- &build\n        uses: docker/build") + "  other:\n    steps:\n      - *build\n",
        "its lines cannot be replaced without changing others",
    ),
    "steps by a merge key": (
        "x: &shared\n  steps:\n    - run: make\n" + ONE_JOB + "  other:\n    <<: *shared\n    runs-on: x\n",
        "are written in one line ({…}, […]) or by anchors",
    ),
    "a value by an anchor": (
        ONE_JOB.replace("platforms: linux", "platforms: &one linux")
        + "  other:\n    runs-on: *one\n    steps:\n      - run: make\n",
        "its lines cannot be replaced without changing others",
    ),
    "nothing to replace": ("jobs:\n  a:\n    steps:\n      - run: make\n", "no step builds and pushes an image"),
    "a build that is not pushed": (ONE_JOB.replace("push: true", "push: false"), "no step builds and pushes an image"),
    "a matrix": (MATRIX, "job ship runs as a matrix: write a job for each image first"),
    "both sides": (
        ONE_JOB + "      - name: Tag it\n        run: git tag x && git push\n",
        "job ship has steps of its own before and after those that are replaced: move these to a job that needs ship",
    ),
    "an image that is not clear": (TWO_JOBS.replace("watchme-admin", "${{ vars.NAME }}"), "the image's repository is not clear"),
    "no service": (TWO_JOBS.replace("watchme-admin", "search"), "image search, stack prod: no service has it"),
    "two images": (
        "jobs:\n  a:\n    steps:\n" + BUILD.format("watchme-admin") + BUILD.format("watchme-web"),
        "it builds watchme-admin, watchme-web: a workflow for each image",
    ),
    "line ends": ("jobs:\n  a: x\u2028\n", "it has line ends that editors and YAML count differently"),
    "called already": (TWO_JOBS_AFTER, "job build calls .github/workflows/deploy.yml already"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line"), REFUSED.values(), ids=REFUSED)
def test_workflow_that_cannot_be_replaced_is_refused_in_one_line(tmp_path, text, line):
    with pytest.raises(InfraError) as error:
        adopt(tmp_path, text)
    assert line in str(error.value) and "\n" not in str(error.value)


def test_options_that_match_nothing_are_refused(tmp_path):
    for options, line in (
        (command.AdoptOptions("acme"), "--infra acme: is no OWNER/NAME"),
        (command.AdoptOptions("acme/infra", "wob"), "--service wob: did you mean 'web'?"),
        (
            command.AdoptOptions("acme/infra", "web"),
            "web of stack prod has no image watchme-admin (it has: watchme-web)",
        ),
        (command.AdoptOptions("acme/infra", token="a b"), "--token a b: is no name of a secret"),
    ):
        with pytest.raises(InfraError) as error:
            adopt(tmp_path, TWO_JOBS, options)
        assert line in str(error.value)


def test_command_prints_a_diff_and_remarks(tmp_path, monkeypatch):
    monkeypatch.setattr("infra.cli.moves.catalogue_of", lambda name: STACK)
    path = tmp_path / ".github/workflows/deploy.yml"
    path.parent.mkdir(parents=True)
    path.write_text(TWO_JOBS)
    ran = CliRunner().invoke(app, ["adopt", "workflow", str(path), "--infra", "acme/infra", "--stack", "prod"])
    assert ran.exit_code == 0, ran.exception
    assert ran.stdout.startswith("--- a/.github/workflows/deploy.yml\n+++ b/.github/workflows/deploy.yml\n")
    assert "+    uses: acme/infra/.github/workflows/deploy.yml@main\n" in ran.stdout
    assert "- stays as it is: job test, report" in ran.stderr and path.read_text() == TWO_JOBS


def test_inputs_of_remaining_steps_stay(tmp_path):
    """Variables that a step sets, and rights that another one gets."""
    text = NOTIFIED.replace(
        "      - id: image\n",
        "      - run: echo VERSION=1 >> $GITHUB_ENV\n      - uses: aws-actions/configure-aws-credentials@v4\n"
        "      - uses: docker/setup-buildx-action@v3\n      - run: TAG=x && echo $TAG; if true; then sleep 1; fi\n"
        "      - id: image\n",
    ).replace("./notify.sh", "aws sns publish --message $VERSION")
    changed, _ = adopt(tmp_path, text)
    steps = yaml.safe_load(changed)["jobs"]["ship"]["steps"]
    assert [step.get("uses", step.get("run", "")).split()[0] for step in steps] == [
        "actions/checkout@v4", "echo", "aws-actions/configure-aws-credentials@v4", "aws",
    ]  # fmt: skip


STAYS = [
    "if curl -f http://x; then ./more.sh; fi",
    'echo "$(./more.sh)" | ./more.sh',
    "A=1 ./more.sh",
    "curl -d x http://x",
]


@pytest.mark.parametrize("run", STAYS)
def test_a_step_that_does_anything_more_stays(tmp_path, run):
    text = NOTIFIED.replace("./notify.sh", f"true\n      - name: More\n        run: {run!r} #")
    changed, _ = adopt(tmp_path, text.replace('run: "', "run: '").replace('" #', "' #"))
    assert "More" in [step.get("name") for step in yaml.safe_load(changed)["jobs"]["ship"]["steps"]]
