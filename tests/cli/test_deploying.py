"""What a deploy of one service chooses, asks for, and records."""

import json

import boto3
import pytest

from catalogue.updates import STALE
from infra import bringing, deploying, locks
from infra.deploying import Deployment, digests_to_deploy, former, host_of, serves
from infra.errors import InfraError
from tests.support import catalogue, changed, emulated_aws, service, whole

NEW, OLD = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
ACCOUNT, REGION = "123456789012", "ap-northeast-1"


def service_of(made, name):
    return next(s for system in made.running.values() for s in system.active if s.name == name)


def test_the_host_of_a_service_is_found():
    host, found = host_of(whole(), ["admin", "web"], None)
    assert host == "watchme" and list(found) == ["admin", "web"]
    for names, given, line in (
        (["admim"], None, "no service 'admim' runs; did you mean 'admin'?"),
        (["admin"], "services", "no service 'admin' runs on host services; services: "),
        (["admin"], "watchmi", "--host watchmi: did you mean 'watchme'?"),
        (["admin", "recall-api"], None, "admin, recall-api are on several hosts: name those of each host"),
    ):
        with pytest.raises(InfraError) as error:
            host_of(whole(), names, given)
        assert line in str(error.value)


@pytest.fixture
def registry(monkeypatch):
    """A registry with an image under two tags; their digests."""
    with emulated_aws(monkeypatch):
        client = boto3.client("ecr", region_name=REGION)
        client.create_repository(repositoryName="watchme-admin")
        digests = {}
        for tag in ("latest", "2"):
            manifest = (
                f'{{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "tag": "{tag}"}}'
            )
            made = client.put_image(repositoryName="watchme-admin", imageManifest=manifest, imageTag=tag)
            digests[tag] = made["image"]["imageId"]["imageDigest"]
        yield digests


def test_image_is_found_by_tag_or_digest(registry):
    admin = service_of(catalogue(), "admin")
    for given, expected in ((None, "latest"), ("2", "2"), (registry["2"], "2")):
        assert digests_to_deploy(admin, given, REGION, ACCOUNT) == {"watchme-admin:latest": registry[expected]}


def test_missing_image_is_reported_with_the_recent_ones(registry):
    with pytest.raises(InfraError) as error:
        digests_to_deploy(service_of(catalogue(), "admin"), "3", REGION, ACCOUNT)
    assert f"{REGION} has no watchme-admin:3 (pushed last: " in str(error.value)
    assert "push it (infra push), or name another with --image" in str(error.value)


@pytest.mark.parametrize("given", ["", "sha256:abc", "watchme-admin:2", "a b"])
def test_invalid_image_option_is_refused_in_one_line(registry, given):
    with pytest.raises(InfraError, match="a tag alone, such as 2026-11-29, or a whole digest"):
        digests_to_deploy(service_of(catalogue(), "admin"), given, REGION, ACCOUNT)


def test_image_with_several_tags_is_found_once(registry):
    client = boto3.client("ecr", region_name=REGION)
    found = client.batch_get_image(repositoryName="watchme-admin", imageIds=[{"imageTag": "2"}])["images"][0]
    client.put_image(repositoryName="watchme-admin", imageManifest=found["imageManifest"], imageTag="released-1")
    assert digests_to_deploy(service_of(catalogue(), "admin"), registry["2"], REGION, ACCOUNT) == {
        "watchme-admin:latest": registry["2"]
    }
    with pytest.raises(InfraError) as error:
        digests_to_deploy(service_of(catalogue(), "admin"), "3", REGION, ACCOUNT)
    assert "released-1" not in str(error.value)


def test_image_pinned_in_the_catalogue_ignores_the_tag(registry):
    def by_digest(data):
        service(data, "admin")["image"] = {"repository": "watchme-admin", "digest": OLD}

    def foreign(data):
        service(data, "admin")["image"] = {"repository": "docker.io/library/redis", "tag": "7"}

    for change in (by_digest, foreign):
        with pytest.raises(InfraError, match="admin has no image of the stack's own that a tag names"):
            digests_to_deploy(service_of(catalogue(change), "admin"), None, REGION, ACCOUNT)
    with pytest.raises(
        InfraError, match=r"whisper-backend has several images \(whisper-backend:latest, whisper-models"
    ):
        digests_to_deploy(service_of(whole(), "whisper-backend"), "2", REGION, ACCOUNT)


def test_records_are_by_host_and_service():
    before = {"watchme": {"web": {"watchme-web:latest": OLD}}, "other": {"web": {"x:1": OLD}}}
    after = Deployment("watchme", {"admin": {"watchme-admin:latest": NEW}}).records(before)
    assert after == {
        "watchme": {"web": {"watchme-web:latest": OLD}, "admin": {"watchme-admin:latest": NEW}}, "other": before["other"],
    }  # fmt: skip
    followed = Deployment("watchme", {"web": {"watchme-web:latest": NEW}}, follow=True)
    assert followed.records(before) == {"other": before["other"]}
    assert before["watchme"] == {"web": {"watchme-web:latest": OLD}}


def test_other_images_of_a_service_keep_their_deployed_digests():
    """A migration's own image would follow its tag again, and run what was never deployed."""
    before = {"box": {"web": {"web:latest": OLD, "migrate:latest": OLD}}}
    after = Deployment("box", {"web": {"web:latest": NEW}}).records(before)
    assert after == {"box": {"web": {"web:latest": NEW, "migrate:latest": OLD}}}


def test_serving_image_is_read_from_the_host():
    wanted = Deployment("watchme", {"admin": {"watchme-admin:latest": NEW}})
    for image, expected in (
        (f"x/watchme-admin@{NEW}", True),
        (f"x/watchme-admin@{OLD}", False),
        (f"x/other@{NEW}", False),
    ):
        assert serves(wanted, {"current": "r", "services": {"r": {"admin": [image]}}}) is expected
    assert not serves(wanted, {"current": "r"}), "an earlier agent says nothing of it"


def job(release: str, code: int = 0) -> dict:
    return {"release": release, "code": code}


def way(*releases: str, current: str, **images: str) -> dict:
    """What a host answers; release → the digest that web has in it."""
    services = {name: {"web": [f"x/web@{digest}"]} for name, digest in images.items()}
    return {"current": current, "services": services, "history": [job(name) for name in releases]}


THIRD = f"sha256:{'c' * 64}"


def test_earlier_image_is_the_last_different_one():
    answer = way("r1", "r2", "r3", current="r3", r1=OLD, r2=NEW, r3=NEW)
    answer["history"].insert(1, job("r0", 1))
    assert former(answer, "web") == {"web": OLD}
    with pytest.raises(InfraError, match="no kept release has another image of admin: infra deploy admin --image TAG"):
        former(answer, "admin")


def test_repeated_back_follows_the_history_of_images():
    """Not to what was rolled back from; and twice is two steps back."""
    assert former(way("r0", "r1", "bad", "r1", current="r1", r0=OLD, r1=NEW, bad=THIRD), "web") == {"web": OLD}
    once = way("r0", "r1", "r2", current="r2", r0=OLD, r1=NEW, r2=THIRD)
    assert former(once, "web") == {"web": NEW}
    again = way("r0", "r1", "r2", "r1", current="r1", r0=OLD, r1=NEW, r2=THIRD)
    assert former(again, "web") == {"web": OLD}


@pytest.mark.parametrize(
    "images", [[f"x/web@{OLD}", f"x/web@{NEW}"], ["x/web@sha256:../../../etc"], ["x/web:latest"]],
)  # fmt: skip
def test_answer_without_exactly_one_digest_has_no_image(images):
    answer = {
        "current": "r1",
        "services": {"r0": {"web": images}, "r1": {"web": ["x/web@y"]}},
        "history": [job("r0"), job("r1")],
    }
    with pytest.raises(InfraError, match="it is not clear which image web has or had"):
        former(answer, "web")


WHOLE = {"addresses": {"watchme": "x"}, "images": {}, "region": REGION, "releases": {"watchme": {"id": "r1"}}}
WANTED = Deployment("watchme", {"admin": {"watchme-admin:latest": NEW}})


@pytest.fixture
def stack(monkeypatch, tmp_path):
    """A stack with these outputs, what its host answers, and the updates that were asked for with how each ends."""
    made = type(
        "Made",
        (),
        {"outputs": WHOLE, "answer": {"current": "r1", "services": {}, "history": []}, "asked": [], "ends": []},
    )()
    monkeypatch.setattr(deploying.hosts, "outputs", lambda stack: made.outputs)
    monkeypatch.setattr(deploying.hosts, "select_targets", lambda stack, outputs, host, key: {host: host})
    monkeypatch.setattr(deploying.hosts, "private_key", lambda stack: "k")
    monkeypatch.setattr(bringing, "ask", lambda target, verb: made.answer)
    monkeypatch.setattr(bringing, "project_root", lambda: tmp_path)
    monkeypatch.setattr(deploying.run, "settle", lambda *_: None)
    made.note = tmp_path / ".infra/deploying-prod"

    def up(stack, planned, say, ask, options):
        variables = {name: json.loads(text) for name, text in options.environment.items()}
        made.asked.append((options.words, variables, made.note.exists()))
        reason = made.ends.pop(0) if made.ends else ""
        return type(
            "Progress",
            (),
            {"reasons": [reason] if reason else [], "is_locked": reason.startswith("the stack is locked")},
        )

    monkeypatch.setattr(deploying.run, "up", up)
    return made


def deploy(wanted=WANTED, made=None) -> str:
    return deploying.deploy(made or catalogue(), wanted, print, lambda _: False)


@pytest.mark.parametrize(
    ("outputs", "line"),
    [
        (
            {"addresses": {"watchme": "x"}, "releases": {}},
            "has not been brought up as a whole yet: pulumi up --stack prod",
        ),
        ({**WHOLE, "region": "ap-southeast-2"}, "serves from ap-southeast-2 and is to be in ap-northeast-1: finish"),
        (
            {**WHOLE, "addresses": {}},
            "hosts or standby regions of stack prod have changed since its last full update",
        ),
        ({**WHOLE, "generations": {"watchme": 2}}, "hosts of stack prod, or what runs on them, have changed"),
        ({**WHOLE, "kept": {"watchme": [1]}}, "hosts of stack prod, or what runs on them, have changed"),
        ({**WHOLE, "systems": {"box": ["watchme"]}}, "hosts of stack prod, or what runs on them, have changed"),
        ({**WHOLE, "standby": ["us-east-2"]}, "hosts or standby regions of stack prod have changed"),
        ({**WHOLE, "releases": {"watchme": {"id": "r2"}}}, "watchme serves r1, and not what pulumi up brought last"),
    ],
)
def test_a_stack_that_is_not_whole_is_refused(stack, outputs, line):
    stack.outputs = outputs
    with pytest.raises(InfraError) as error:
        deploy()
    assert line in str(error.value) and not stack.asked


def test_deploy_is_refused_after_a_followed_tag_until_an_update(stack):
    stack.answer = {"current": "r2", "services": {}, "history": [{**job("r2"), "kind": "watch"}]}
    with pytest.raises(
        InfraError, match="has deployed a new image of a tag that it follows: run pulumi up --stack prod"
    ):
        deploy()


def test_deploy_keeps_the_images_of_other_services(stack):
    stack.outputs = {**WHOLE, "images": {"watchme-admin:latest": OLD, "watchme-web:latest": OLD}}
    assert deploy() == f"admin: {NEW[:19]} serves on watchme; pulumi up keeps it"
    ((words, given, noted),) = stack.asked
    assert words[1] == f"urn:pulumi:prod::**::watchme-{REGION}-release" and words[3].endswith("-release-apply")
    assert given["INFRA_APPROVED_IMAGES"] == stack.outputs["images"]
    assert given["INFRA_DEPLOYING"] == {
        "host": "watchme", "services": ["admin"], "deployed": {"watchme": {"admin": {"watchme-admin:latest": NEW}}},
        "basis": {}, "release": "r1",
    }  # fmt: skip
    assert noted and not stack.note.exists()


@pytest.mark.parametrize("reason", ["the stack is locked by ci@runner", f"{STALE}: run the same command again"])
def test_a_deploy_that_did_not_begin_leaves_nothing_and_is_tried_again(stack, reason, monkeypatch):
    """It would hold up every other one, though it touched nothing; and what it was worked out from may be another."""
    monkeypatch.setattr(locks, "PAUSE", 0)
    stack.ends = [reason]
    with pytest.raises(locks.Locked):
        deploy()
    assert not stack.note.exists() and len(stack.asked) == 1, "nothing is noted back"
    said = []
    stack.ends = [reason, reason]
    line = locks.patiently(deploy, 60, said.append)
    assert "serves on watchme" in line and len(said) == 1 and reason in said[0]
    stack.ends = [reason]
    with pytest.raises(locks.Locked):
        locks.patiently(deploy, -1, said.append)


def test_a_host_that_is_ahead_of_the_stack_for_a_moment_is_waited_for(stack, monkeypatch):
    """An update has brought it, and has not written what it did."""
    looks = iter(["r2", "r2", "r1"])
    monkeypatch.setattr(locks, "PAUSE", 0)
    monkeypatch.setattr(deploying.hosts, "outputs", lambda _: {**WHOLE, "releases": {"watchme": {"id": next(looks)}}})
    assert "serves on watchme" in locks.patiently(deploy, 60, print)
    monkeypatch.setattr(deploying.hosts, "outputs", lambda _: {**WHOLE, "releases": {"watchme": {"id": "r2"}}})
    monkeypatch.setattr(locks, "SETTLED", 0)
    with pytest.raises(InfraError, match="and not what pulumi up brought last"):
        locks.patiently(deploy, 3600, print)


@pytest.mark.parametrize(
    "reason", ["rolled back on watchme: admin is unhealthy", "refused on watchme, nothing touched: x"]
)
def test_failed_deploy_restores_the_earlier_record(stack, reason):
    """So that the next update has nothing to do."""
    stack.ends = [reason]
    with pytest.raises(InfraError, match=reason.split(":")[0]):
        deploy()
    assert [given["INFRA_DEPLOYING"]["deployed"] for _, given, _ in stack.asked] == [
        {"watchme": {"admin": {"watchme-admin:latest": NEW}}}, {},
    ]  # fmt: skip
    assert not stack.note.exists()


@pytest.mark.parametrize(
    "reason", ["interrupted; run the same command again", "unknown on watchme: no answer", "rollback failed on watchme: refused on watchme:5432"],
)  # fmt: skip
def test_deploy_with_unknown_outcome_stays_recorded_until_repeated(stack, reason):
    stack.ends = [reason]
    with pytest.raises(InfraError):
        deploy()
    again = f"infra deploy admin --host watchme --stack prod --image {NEW}"
    assert len(stack.asked) == 1 and stack.note.read_text() == f"{again}\n"
    # Another one would undo it
    with pytest.raises(InfraError, match=f"another deploy was interrupted here: run it again first .{again}"):
        deploy(Deployment("watchme", {"web": {"watchme-web:latest": NEW}}))
    # The host may serve what came
    stack.answer = {"current": "r9", "services": {}, "history": []}
    assert "serves on watchme" in deploy() and not stack.note.exists()


def test_deploy_of_the_serving_image_does_nothing(stack):
    stack.outputs = {**WHOLE, "deployed": {"watchme": {"admin": {"watchme-admin:latest": NEW}}}}
    stack.answer["services"] = {"r1": {"admin": [f"x/watchme-admin@{NEW}"]}}
    assert deploy() == f"admin: {NEW[:19]} serves on watchme already: nothing to do" and not stack.asked


def test_deploy_of_a_tag_shared_by_services_is_refused(stack):
    stack.outputs = {**WHOLE, "images": {"watchme-admin:latest": OLD}}
    with pytest.raises(InfraError, match="other services follow tag watchme-admin:latest too and serve sha256:bbbb"):
        deploy(Deployment("watchme", WANTED.images, follow=True))


def test_services_of_one_compose_file_are_deployed_together():
    def change(data):
        service(data, "web").update(unit="watchme-admin.service", directory=service(data, "admin")["directory"])

    made = catalogue(change)
    with pytest.raises(InfraError, match="web shares a compose file and restarts too: infra deploy admin web"):
        host_of(made, ["admin"], None)
    assert host_of(made, ["admin", "web"], None)[0] == "watchme"


def test_artefacts_are_deployed_too(registry, monkeypatch):
    def change(data):
        service(data, "recall-api")["artefact"] = {
            "repository": "watchme-admin",
            "tag": "2",
            "into": "/srv/recall/venv",
        }

    found = digests_to_deploy(service_of(changed(whole(), "recall", change), "recall-api"), None, REGION, ACCOUNT)
    assert found == {"watchme-admin:2": registry["2"]}
