"""The emulated ECR as its users and its hosts meet it."""

import base64
import hashlib
import json
import ssl
import time
import urllib.error
import urllib.request

import pytest

from lab import registry
from lab.images import build_programs, write_layout
from lab.stubs import stubs
from rendering import images
from tests.system.conftest import System

pytestmark = pytest.mark.lab
REGION, REPOSITORY = "ap-northeast-1", "watchme-admin"
HOST = "754724220380.dkr.ecr.ap-northeast-1.amazonaws.com"


@pytest.fixture
def layout(system: System, tmp_path) -> str:
    """An image of both architectures, as skopeo names it."""
    write_layout(tmp_path / "image", build_programs(), {"STUB_NAME": REPOSITORY}, "1")
    return f"oci:{tmp_path}/image:1"


def skopeo(system: System, *words: str, password: str | None = None):
    login = ["--dest-creds", f"AWS:{password or registry.token(system.lab)}"]
    return system.command("skopeo", "copy", *login, *words)


def test_a_user_pushes_an_image_under_the_registrys_real_name(system: System, layout):
    ran = system.command("infra", "push", f"{REPOSITORY}:pushed", "--from", layout, "--stack", "lab")
    assert ran.code == 0, ran.output
    digest = registry.tags(system.lab, REGION, REPOSITORY)["pushed"]
    assert digest in ran.output
    assert system.on_host("docker", "pull", "-q", f"{HOST}/{REPOSITORY}@{digest}").code == 0


def parts(system: System, repository: str, digest: str) -> list[str]:
    """The images that an index lists, one for each architecture."""
    found = registry.manifest(system.lab, REGION, repository, digest)
    assert found, f"{repository}@{digest} is gone"
    return [part["digest"] for part in json.loads(found.text).get("manifests", [])]


def test_the_images_that_a_host_needs_have_its_tags(system: System):
    """Of the release that serves and of those that can be gone back to; of those that were forgotten since the last new
    image, too."""
    kept = system.on_host(
        "sh", "-c", "cat /var/lib/infra/releases/*/manifest.json | grep -o '[a-z0-9.-]*/[a-z0-9-]*@sha256:[0-9a-f]*'"
    )
    named = {(image.repository, image.digest) for image in images.images_in_ecr(kept.output.split())}
    needed = named | {(repository, part) for repository, digest in named for part in parts(system, repository, digest)}
    owner = images.owner("lab", "watchme")
    tagged = {
        (repository, digest): tag
        for repository in stubs()
        for tag, digest in registry.tags(system.lab, REGION, repository).items()
        if images.is_of(owner, tag)
    }
    assert needed <= set(tagged) and len(named) >= 12, needed - set(tagged)
    assert all(tag == images.tag(owner, digest) for (_, digest), tag in tagged.items())


def test_a_repository_that_does_not_exist_takes_no_image(system: System, layout):
    ran = skopeo(system, layout, f"docker://{HOST}/watchme-nowhere:1")
    assert ran.code != 0 and "watchme-nowhere" in ran.output
    assert "does not exist in the registry with id '754724220380'" in ran.output
    assert registry.tags(system.lab, REGION, "watchme-nowhere") == {}


def test_an_image_of_one_architecture_has_the_digest_of_its_manifest(system: System, layout):
    """Not that of a manifest which the registry has converted for an older client."""
    one = ["--override-arch", "amd64", layout, f"docker://{HOST}/{REPOSITORY}:one"]
    assert skopeo(system, *one).code == 0
    login = f"AWS:{registry.token(system.lab)}"
    raw = system.command("skopeo", "inspect", "--raw", "--creds", login, f"docker://{HOST}/{REPOSITORY}:one").output
    listed = registry.tags(system.lab, REGION, REPOSITORY)["one"]
    assert listed == f"sha256:{hashlib.sha256(raw.encode()).hexdigest()}"
    assert system.on_host("docker", "pull", "-q", f"{HOST}/{REPOSITORY}@{listed}").code == 0


def test_a_login_that_has_expired_is_refused_in_ecrs_words(system: System, layout):
    registry.set_lifetime(system.lab, 1)
    try:
        password = registry.token(system.lab)
        assert skopeo(system, layout, f"docker://{HOST}/{REPOSITORY}:early", password=password).code == 0
        time.sleep(1.5)
        late = skopeo(system, layout, f"docker://{HOST}/{REPOSITORY}:late", password=password)
    finally:
        registry.set_lifetime(system.lab, None)
    assert late.code != 0 and "403" in late.output
    assert asked(system, password) == (403, "Your authorization token has expired. Reauthenticate and try again.")
    assert asked(system, "made-up")[0] == 403 and asked(system, registry.token(system.lab))[0] == 200
    assert "late" not in registry.tags(system.lab, REGION, REPOSITORY)


def asked(system: System, password: str) -> tuple[int, str]:
    """Status and message of the registry's answer to a login."""
    login = base64.b64encode(f"AWS:{password}".encode()).decode()
    context = ssl.create_default_context(cafile=str(system.lab.path("tls", "root.crt")))
    request = urllib.request.Request(
        f"https://{system.lab.registry_address(REGION)}/v2/", headers={"Authorization": f"Basic {login}"}
    )
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["errors"][0]["message"]


def test_ecr_says_when_its_login_ends(system: System):
    script = (
        "import boto3, json; answer = boto3.client('ecr', region_name='ap-northeast-1').get_authorization_token();"
        "print(json.dumps(answer['authorizationData'][0]['expiresAt'].timestamp()))"
    )
    ran = system.command("python3", "-c", script)
    assert 11.5 * 3600 < json.loads(ran.output) - time.time() < 12.5 * 3600
