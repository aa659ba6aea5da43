"""What a deploy of one service chooses, asks for, and records."""

import boto3
import pytest

from infra import deploying
from infra.deploying import Deployment, changes, chosen, former, host_of
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
        (["admin", "recall-api"], None, "admin, recall-api are on several hosts: deploy those of each host"),
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


def test_an_image_by_its_tag_another_tag_or_its_digest(registry):
    admin = service_of(catalogue(), "admin")
    for given, expected in ((None, "latest"), ("2", "2"), (registry["2"], "2")):
        assert chosen(admin, given, REGION, ACCOUNT) == {"watchme-admin:latest": registry[expected]}


def test_one_that_is_not_there_is_named_with_those_that_are(registry):
    with pytest.raises(InfraError) as error:
        chosen(service_of(catalogue(), "admin"), "3", REGION, ACCOUNT)
    assert f"{REGION} has no watchme-admin:3 (pushed last: " in str(error.value)
    assert "push it (infra push), or name another with --image" in str(error.value)


def test_what_a_tag_does_not_name_is_the_catalogues(registry):
    def by_digest(data):
        service(data, "admin")["image"] = {"repository": "watchme-admin", "digest": OLD}

    def foreign(data):
        service(data, "admin")["image"] = {"repository": "docker.io/library/redis", "tag": "7"}

    for change in (by_digest, foreign):
        with pytest.raises(InfraError, match="admin has no image of the stack's own that a tag names"):
            chosen(service_of(catalogue(change), "admin"), None, REGION, ACCOUNT)
    with pytest.raises(
        InfraError, match=r"whisper-backend has several images \(whisper-backend:latest, whisper-models"
    ):
        chosen(service_of(whole(), "whisper-backend"), "2", REGION, ACCOUNT)


def test_records_are_by_host_and_service():
    before = {"watchme": {"web": {"watchme-web:latest": OLD}}}
    after = Deployment("watchme", {"admin": {"watchme-admin:latest": NEW}}).records(before)
    assert after == {"watchme": {"web": {"watchme-web:latest": OLD}, "admin": {"watchme-admin:latest": NEW}}}
    followed = Deployment("watchme", {"web": {"watchme-web:latest": NEW}}, follow=True)
    assert followed.records(before) == {"watchme": {}}
    assert before == {"watchme": {"web": {"watchme-web:latest": OLD}}}


def test_what_serves_already_is_no_change():
    wanted = Deployment("watchme", {"admin": {"watchme-admin:latest": NEW}})
    assert not changes(wanted, {}, {"watchme-admin:latest": NEW})
    assert changes(wanted, {}, {"watchme-admin:latest": OLD})
    assert changes(wanted, {"watchme": {"admin": {"watchme-admin:latest": OLD}}}, {"watchme-admin:latest": NEW})


def job(release: str, code: int = 0) -> dict:
    return {"release": release, "code": code}


def test_the_image_before_is_that_of_the_last_other_one():
    services = {"r3": {"web": f"x/web@{NEW}"}, "r2": {"web": f"x/web@{NEW}"}, "r1": {"web": f"x/web@{OLD}"}}
    answer = {"current": "r3", "services": services, "history": [job("r1"), job("r0", 1), job("r2"), job("r3")]}
    assert former(answer, "web") == OLD
    with pytest.raises(InfraError, match="no kept release has another image of admin: infra deploy admin --image TAG"):
        former(answer, "admin")


@pytest.mark.parametrize(
    ("outputs", "line"),
    [
        (
            {"addresses": {"watchme": "x"}, "releases": {}},
            "has not been brought up as a whole yet: pulumi up --stack prod",
        ),
        (
            {"images": {}, "region": "ap-southeast-2"},
            "serves from ap-southeast-2 and is to be in ap-northeast-1: finish",
        ),
    ],
)
def test_a_stack_that_is_not_whole_is_refused(monkeypatch, outputs, line):
    monkeypatch.setattr(deploying.hosts, "outputs", lambda stack: outputs)
    wanted = Deployment("watchme", {"admin": {"watchme-admin:latest": NEW}})
    with pytest.raises(InfraError) as error:
        deploying.deploy(catalogue(), wanted, print, lambda _: False)
    assert line in str(error.value)


def test_everything_else_stays_as_it_was_brought(monkeypatch):
    """Whatever was pushed since: and a failure is noted back, so that the next update has nothing to do."""
    served = {"watchme-admin:latest": OLD, "watchme-web:latest": OLD}
    monkeypatch.setattr(deploying.hosts, "outputs", lambda stack: {"images": served, "region": REGION})
    monkeypatch.setattr(deploying.run, "settle", lambda *_: None)
    asked, reasons = [], ["rolled back on watchme: admin is unhealthy"]

    def up(stack, planned, say, ask, words, environment):
        asked.append((words, environment))
        return type("Progress", (), {"reasons": [reasons.pop()] if reasons else []})

    monkeypatch.setattr(deploying.run, "up", up)
    wanted = Deployment("watchme", {"admin": {"watchme-admin:latest": NEW}})
    with pytest.raises(InfraError, match="rolled back on watchme: admin is unhealthy"):
        deploying.deploy(catalogue(), wanted, print, lambda _: False)
    (words, brought), (_, noted) = asked
    assert words[1] == f"urn:pulumi:prod::**::watchme-{REGION}-release" and words[3].endswith("-release-apply")
    assert brought["INFRA_DEPLOYED"] == f'{{"watchme": {{"admin": {{"watchme-admin:latest": "{NEW}"}}}}}}'
    assert brought["INFRA_DEPLOYING_ONLY"] == '["admin"]' and OLD in brought["INFRA_APPROVED_IMAGES"]
    assert noted["INFRA_DEPLOYED"] == "{}"
    said = deploying.deploy(catalogue(), wanted, print, lambda _: False)
    assert said == f"admin: {NEW[:19]} serves on watchme; pulumi up keeps it" and len(asked) == 3


def test_artefacts_are_deployed_too(registry, monkeypatch):
    def change(data):
        service(data, "recall-api")["artefact"] = {
            "repository": "watchme-admin",
            "tag": "2",
            "into": "/srv/recall/venv",
        }

    found = chosen(service_of(changed(whole(), "recall", change), "recall-api"), None, REGION, ACCOUNT)
    assert found == {"watchme-admin:2": registry["2"]}
