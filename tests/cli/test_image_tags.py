"""Tags on the images that hosts need, in an ECR that is emulated; what a delivery says when they cannot be set."""

import hashlib
import json

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from infra import deliver, image_tags
from infra.errors import InfraError
from infra.ssh import Target
from rendering import images

REGION, ACCOUNT, NAME = "ap-northeast-1", "123456789012", "watchme-api-ast"
OWNER = images.owner("prod", "watchme")
KIND = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture
def ecr(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("ecr", region_name=REGION)
        client.create_repository(repositoryName=NAME)
        yield client


def push(ecr, number: int, tag: str | None = None, parts: tuple[str, ...] = ()) -> str:
    """The digest of an image that is pushed."""
    if parts:
        manifest = {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [{"digest": part, "mediaType": KIND} for part in parts],
        }
    else:
        layer = {
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
            "size": 1,
            "digest": f"sha256:{number:064x}",
        }
        manifest = {"schemaVersion": 2, "mediaType": KIND, "config": {**layer, "size": number}, "layers": [layer]}
    text = json.dumps(manifest)
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    named = {"imageTag": tag} if tag else {}
    kind = manifest["mediaType"]
    ecr.put_image(repositoryName=NAME, imageManifest=text, imageManifestMediaType=kind, imageDigest=digest, **named)
    return digest


def tags(ecr) -> dict[str, str]:
    entries = ecr.list_images(repositoryName=NAME)["imageIds"]
    return {entry["imageTag"]: entry["imageDigest"] for entry in entries if "imageTag" in entry}


def digests(ecr) -> set[str]:
    return {entry["imageDigest"] for entry in ecr.list_images(repositoryName=NAME)["imageIds"]}


def reference(digest: str) -> str:
    return f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{NAME}@{digest}"


def test_the_images_of_a_release_are_tagged_and_once_is_enough(ecr):
    first = push(ecr, 1, "latest")
    image_tags.keep([reference(first)], OWNER)
    image_tags.keep([reference(first)], OWNER)
    assert tags(ecr) == {"latest": first, images.tag(OWNER, first): first}


def test_unneeded_image_loses_its_tag_but_is_not_deleted(ecr):
    """ECR deletes an image with its last tag: CI has pushed another one as `latest` since."""
    old = push(ecr, 1, "latest")
    image_tags.keep([reference(old)], OWNER)
    new = push(ecr, 2, "latest")
    image_tags.keep_only([reference(new)], OWNER)
    assert tags(ecr) == {"latest": new, images.tag(OWNER, new): new, images.released_tag(old): old}
    image_tags.keep_only([reference(old)], OWNER)
    assert tags(ecr) == {"latest": new, images.tag(OWNER, old): old, images.released_tag(old): old}
    assert digests(ecr) == {old, new}


def test_image_of_another_stack_or_host_keeps_its_tag(ecr):
    shared, new = push(ecr, 1, "latest"), push(ecr, 2, "v2")
    others = [images.owner("dev", "watchme"), images.owner("prod", "services")]
    for owner in (OWNER, *others):
        image_tags.keep([reference(shared)], owner)
    image_tags.keep_only([reference(new)], OWNER)
    assert {tag for tag, digest in tags(ecr).items() if digest == shared} == {
        "latest", *(images.tag(owner, shared) for owner in others)
    }  # fmt: skip


def test_parts_of_an_index_keep_their_tags(ecr):
    parts = (push(ecr, 1, "amd64"), push(ecr, 2, "arm64"))
    index = push(ecr, 3, "latest", parts)
    image_tags.keep_only([reference(index)], OWNER)
    assert {digest for tag, digest in tags(ecr).items() if images.is_of(OWNER, tag)} == {index, *parts}
    other = push(ecr, 4, "v2")
    image_tags.keep_only([reference(other)], OWNER)
    assert {digest for tag, digest in tags(ecr).items() if images.is_of(OWNER, tag)} == {other}
    assert digests(ecr) == {index, other, *parts}


def test_missing_image_does_not_fail_the_tagging(ecr):
    image_tags.keep([reference(f"sha256:{9:064x}")], OWNER)
    assert tags(ecr) == {}


def test_missing_repository_is_ignored(ecr):
    """Of a release from before a move, or with a service that has left the catalogue."""
    here = push(ecr, 1, "latest")
    gone = reference(f"sha256:{9:064x}").replace(NAME, "no-such")
    image_tags.keep_only([gone, reference(here)], OWNER)
    assert tags(ecr) == {"latest": here, images.tag(OWNER, here): here}


def test_refusal_of_ecr_is_reported_in_one_line(ecr, monkeypatch):
    def refuse(_):
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}, "ListImages")

    monkeypatch.setattr(image_tags.Repository, "tags", refuse)
    with pytest.raises(InfraError, match=r"^ECR in ap-northeast-1, repository watchme-api-ast: .*AccessDenied"):
        image_tags.keep([reference(f"sha256:{9:064x}")], OWNER)


# What a delivery makes of it

IMAGE = reference(f"sha256:{1:064x}")


@pytest.fixture
def asked(monkeypatch):
    """What was asked of ECR: the calls, and what they raise."""
    calls: list[tuple] = []
    monkeypatch.setattr(image_tags, "keep", lambda references, owner: calls.append(("keep", sorted(references))))
    monkeypatch.setattr(image_tags, "keep_only", lambda references, owner: calls.append(("only", sorted(references))))
    return calls


def tagging(said: list[str], pictures: list[str]) -> deliver.ImageTags:
    return deliver.ImageTags(Target("web1", "127.0.0.1", 22, "root", "", ""), pictures, OWNER, said.append)


def test_nothing_is_asked_for_images_that_are_tagged(monkeypatch, asked):
    made = tagging([], [IMAGE])
    assert not made.is_done
    monkeypatch.setenv("PULUMI_COMMAND_STDOUT", json.dumps({"release": "r", "tagged": made.mark}))
    assert made.is_done and tagging([], [reference(f"sha256:{2:064x}")]).mark != made.mark
    assert tagging([], ["busybox@sha256:1"]).is_done and tagging([], []).is_done


@pytest.mark.parametrize(("kept", "calls"), [(["old"], [("only", sorted([IMAGE, "old"]))]), (None, [])])
def test_images_of_kept_releases_are_asked_of_the_host(monkeypatch, asked, kept, calls):
    """A kept release that cannot be read may need any image: then none loses its tag."""
    monkeypatch.setattr(deliver, "ask", lambda target, verb: {"images": kept})
    assert tagging([], [IMAGE]).settle() and asked == calls


def test_missing_right_is_reported_and_does_not_block_a_release(monkeypatch):
    def refuse(*_):
        raise InfraError("ECR in ap-northeast-1, repository a: AccessDeniedException")

    monkeypatch.setattr(image_tags, "keep", refuse)
    monkeypatch.setattr(image_tags, "keep_only", refuse)
    monkeypatch.setattr(deliver, "ask", lambda target, verb: {"images": []})
    said: list[str] = []
    made = tagging(said, [IMAGE])
    made.add()
    assert not made.settle() and len(said) == 2
    for line in said:
        assert line.startswith("ECR in ap-northeast-1, repository a: AccessDeniedException; ") and images.RIGHTS in line
