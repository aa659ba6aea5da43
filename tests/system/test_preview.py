"""A preview from the truth, and a plan that binds, on the lab's own stack."""

import hashlib
import json

import pytest

from infra.writing import MARKER
from tests.rows import rows
from tests.system.conftest import System
from tests.system.on import wait_until_well

pytestmark = pytest.mark.lab
YAML = "files/systems/watchme.yaml"
COMPOSE = "/home/ubuntu/watchme-avatar-uploader/docker-compose.prod.yml"


def previewed(system: System, code: int = 0) -> dict:
    ran = system.command("infra", "preview", "--stack", "lab", "--format", "json")
    assert ran.code == code, ran.output
    (stack,) = json.loads(ran.output[ran.output.index("{") :])["stacks"]
    assert stack["source"] == "live" and stack["fingerprint"].startswith("live-")
    return stack


def approve(system: System, fingerprint: str):
    return system.command("infra", "up", "--stack", "lab", "--plan", fingerprint)


def limit(system: System) -> str:
    return system.on_host("grep", "mem_limit", COMPOSE).output.strip()


def test_preview_without_a_change_is_empty(watchme):
    wait_until_well(watchme)
    stack = previewed(watchme)
    assert stack["verdict"] == "no change" and stack["steps"] == [] and stack["hosts_say"] == [], stack


def test_rendered_files_match_the_hosts(watchme, tmp_path):
    ran = watchme.command("infra", "render", "--stack", "lab", "--out", str(tmp_path))
    assert ran.code == 0 and "images are named by their tags" not in ran.output, ran.output
    served = json.loads(watchme.on_host("cat", "/var/lib/infra/current/manifest.json").output)
    assert json.loads((tmp_path / "watchme.manifest.json").read_text()) == served
    files = [path for path in (tmp_path / "watchme").rglob("*") if path.is_file() and path.name != MARKER]
    assert len(files) == len(served["files"]) > 30
    wanted = {file["path"]: file["sha256"] for file in served["files"]}
    for path in files:
        place = f"/{path.relative_to(tmp_path / 'watchme')}"
        rendered = hashlib.sha256(path.read_bytes()).hexdigest()
        assert watchme.on_host("sha256sum", place).output.split()[0] == rendered == wanted[place], place


@pytest.mark.nightly
def test_plan_is_applied_only_as_approved(watchme):
    """The preview says which unit restarts; a hand edit since makes the plan another; the new one is done."""
    text = (watchme.project / YAML).read_text()
    entry = text[text.index("  - name: avatar-uploader") :]
    watchme.edit(YAML, entry, entry.replace("limit: 200m", "limit: 208m", 1))
    before = limit(watchme)
    stack = previewed(watchme)
    assert stack["verdict"] == "1 service restarts while its requests wait: avatar-uploader"
    (host,) = [host for host in stack["hosts"] if host["how"] != "same"]
    (file,) = host["files"]
    assert file["path"] == COMPOSE and "-    mem_limit: 200m" in file["diff"] and "+    mem_limit: 208m" in file["diff"]

    watchme.on_host("sh", "-c", f"echo '# by hand' >> {COMPOSE}")
    ran = approve(watchme, stack["fingerprint"])
    assert ran.code == 1 and "nothing was touched" in ran.output and "changed since" in ran.output, ran.output
    assert f"watchme: {COMPOSE} was edited" in ran.output and limit(watchme) == before

    now = previewed(watchme)
    assert f"watchme: {COMPOSE} was edited" in now["hosts_say"]
    ran = approve(watchme, now["fingerprint"])
    assert ran.code == 0 and "1 unit (re)started" in ran.output, ran.output
    assert limit(watchme) == "mem_limit: 208m"
    assert previewed(watchme)["verdict"] == "no change"


@pytest.mark.nightly
def test_newly_pushed_image_makes_another_plan(watchme):
    from tests.system.faults import push

    before = previewed(watchme)
    push(watchme)
    stack = previewed(watchme)
    assert (
        "1 service restarts while its requests wait: avatar-uploader" in stack["verdict"]
        and stack["fingerprint"] != before["fingerprint"]
    )
    ran = approve(watchme, before["fingerprint"])
    assert ran.code == 1 and "the hosts' files" in ran.output and f"watchme:{COMPOSE}: now changes" in ran.output, (
        ran.output
    )
    watchme.must_up()


SECRETS = ("planted-hunter2-7f3a", "planted-rotated-19c4")
PLAIN = "a-plain-value-5e21"


def set_secret(system: System, value: str) -> None:
    path = "infra:secrets.avatar-uploader.UPLOAD_TOKEN"
    ran = system.command("pulumi", "config", "set", "--stack", "lab", "--secret", "--path", path, "--", value)
    assert ran.code == 0, ran.output


# What `infra preview` does, with one look for all forms
PREVIEW = """
from infra.preview import command, plans
report = command.build_report("HEAD", ["lab"])
plans.keep(report)
assert report.code == 0
for form in command.FORMATS:
    command.write(report, form, None, form == "terminal")
"""


def shown(system: System) -> str:
    """A live preview in every form, and every plan that was kept."""
    ran = system.command(".venv/bin/python", "-c", PREVIEW)
    assert ran.code == 0 and "<!doctype html>" in ran.output.lower() and '"source": "live"' in ran.output, ran.output
    plans = [path.read_text() for path in (system.project / ".infra/plans").iterdir()]
    return "\n".join([ran.output, *plans])


@pytest.mark.nightly
def test_live_preview_shows_no_secret(watchme):
    """It knows the values, and shows none: new, set again, in a refusal, and in what is kept of a plan."""
    place = "    directory: /home/ubuntu/watchme-avatar-uploader # not in the document\n"
    environment = f"{place}    environment: {{COLOUR: {PLAIN}}}\n    secrets: [UPLOAD_TOKEN]\n"
    watchme.edit(YAML, place, environment)
    with watchme.configured():
        set_secret(watchme, SECRETS[0])
        texts = [shown(watchme)]
        old = previewed(watchme)["fingerprint"]
        texts.append(watchme.must_up())
        set_secret(watchme, SECRETS[1])
        texts.append(shown(watchme))
        texts.append(approve(watchme, old).output)
        texts.append(watchme.must_up())
        texts.append(watchme.command("infra", "drift", "--stack", "lab").output)
        watchme.restore(YAML)
        watchme.must_up()
    everything = "\n".join(texts)
    assert "UPLOAD_TOKEN=[secret " in texts[0] and "UPLOAD_TOKEN=[secret " in texts[2]
    assert PLAIN in texts[0], "what is looked for would have been found"
    assert [secret for secret in SECRETS if secret in everything] == []


WRONG = {
    "no fingerprint": ("yesterday", "is not a fingerprint"),
    "of somewhere else": ("live-0000000000-0000000000-0000000000-0000000000", "it was made elsewhere"),
}


@pytest.mark.parametrize("name", rows(WRONG, always=["no fingerprint"]))
def test_unknown_plan_is_refused(watchme, name):
    plan, said = WRONG[name]
    ran = approve(watchme, plan)
    assert ran.code == 1 and said in ran.output and "Traceback" not in ran.output, ran.output
