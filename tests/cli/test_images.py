"""Images of other registries: copied once, by digest, and what is newer than they are."""

import json
import stat
from pathlib import Path

import pytest

from infra import images, mirror
from infra.errors import InfraError
from tests.catalogue.changes import configured
from tests.catalogue.containers import with_database
from tests.support import catalogue

NAME = "docker.io/library/postgres:16.4"
OURS = "754724220380.dkr.ecr.ap-northeast-1.amazonaws.com"
# Registries as a directory: a file by the name of each image, and what is in it is the manifest
SKOPEO = """#!/usr/bin/env python3
import json, os, pathlib, shutil, sys
root = pathlib.Path(os.environ["REGISTRIES"])
words = [word for word in sys.argv[1:]]
with open(root / "log", "a") as log:
    log.write(" ".join(words) + "\\n")
auth = json.load(open(words[words.index("--authfile") + 1]))["auths"]
names = [word.removeprefix("docker://").replace("/", "+") for word in words if word.startswith("docker://")]
def file(name):
    if "@" in name:
        import hashlib
        want = name.split("@sha256:")[1]
        for path in root.iterdir():
            if path.name.startswith(name.split("@")[0]) and hashlib.sha256(path.read_bytes()).hexdigest() == want:
                return path
    return root / name
if (root / "down").exists() and names[0].startswith("docker.io"):
    sys.exit("time=\\"x\\" level=fatal msg=\\"pinging container registry: i/o timeout \\x1b[2J\\"")
if words[0] == "inspect":
    if not file(names[0]).exists():
        sys.exit("level=fatal msg=\\"reading manifest: manifest unknown\\"")
    sys.stdout.write(file(names[0]).read_text())
elif words[0] == "list-tags":
    print(json.dumps({"Tags": (root / "tags").read_text().split()}))
elif words[0] == "copy":
    (root / names[1]).write_text((root / "wrong").read_text() if (root / "wrong").exists() else file(names[0]).read_text())
"""


def manifest(text: str) -> str:
    return json.dumps({"schemaVersion": 2, "annotations": {"text": text}})


@pytest.fixture
def registries(tmp_path, monkeypatch) -> Path:
    """Docker Hub with one image, and skopeo that knows it."""
    root = tmp_path / "registries"
    root.mkdir()
    (root / NAME.replace("/", "+")).write_text(manifest("16.4"))
    program = tmp_path / "bin" / "skopeo"
    program.parent.mkdir()
    program.write_text(SKOPEO)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("REGISTRIES", str(root))
    for module in (mirror, images):
        monkeypatch.setattr(module, "login", lambda session, account, region: "bG9naW4=")
    return root


def wanted(digest: str) -> dict:
    return {
        "account": "754724220380", "region": "ap-northeast-1", "repository": "docker.io/library/postgres",
        "reference": ":16.4", "digest": digest, "logins": {},
    }  # fmt: skip


def test_an_image_is_copied_once(registries):
    digest = mirror.resolve_digests([NAME], {})[NAME]
    said: list[str] = []
    assert mirror.mirror_image(wanted(digest), said.append) == (digest, True) and said == [
        f"copying {NAME} into ap-northeast-1"
    ]
    # What its owner pushes later changes nothing here, nor does a registry that is down
    (registries / NAME.replace("/", "+")).write_text(manifest("built again"))
    (registries / "down").touch()
    assert mirror.mirror_image(wanted(digest), said.append) == (digest, False) and len(said) == 1


def test_image_is_copied_by_digest_with_all_architectures(registries):
    digest = mirror.resolve_digests([NAME], {})[NAME]
    mirror.mirror_image(wanted(digest), lambda line: None)
    copy = next(line for line in (registries / "log").read_text().splitlines() if line.startswith("copy"))
    assert "--all" in copy and f"docker://docker.io/library/postgres@{digest} docker://{OURS}/{NAME}" in copy
    assert "bG9naW4=" not in copy, "a login on a command line is everyone's"


def test_missing_images_are_reported_before_anything_is_created(registries):
    with pytest.raises(InfraError, match=r"1 image missing in other registries: docker.io/library/nothing:1"):
        mirror.resolve_digests([NAME, "docker.io/library/nothing:1"], {})


def test_unreachable_registry_is_reported_apart_from_missing_images(registries):
    (registries / "down").touch()
    with pytest.raises(InfraError) as raised:
        mirror.resolve_digests([NAME], {})
    assert (
        str(raised.value).startswith(f"{NAME}: ")
        and "i/o timeout" in str(raised.value)
        and "\x1b" not in str(raised.value)
    )


@pytest.mark.parametrize("answer", ["", "<html>please log in</html>", "[]", '{"errors": []}'])
def test_registry_answer_without_an_image_is_refused(registries, answer):
    (registries / NAME.replace("/", "+")).write_text(answer)
    with pytest.raises(InfraError, match="its registry answers with something else than an image"):
        mirror.resolve_digests([NAME], {})


def test_copy_with_another_digest_is_refused(registries):
    digest = mirror.resolve_digests([NAME], {})[NAME]
    (registries / "wrong").write_text(manifest("something else"))
    with pytest.raises(InfraError, match="and the original sha256:"):
        mirror.mirror_image(wanted(digest), lambda line: None)


def test_missing_skopeo_is_reported_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InfraError, match="skopeo is not on PATH: install it"):
        mirror.resolve_digests([NAME], {})


def stack(**secrets):
    return catalogue(with_database, configured(secrets={"db": {"POSTGRES_PASSWORD": "x"}, **secrets}))


def test_images_are_listed_with_newer_tags(registries):
    (registries / "tags").write_text("14.1 16.4 16.5 16.10 17.2 17.2-alpine 18beta1 latest 16")
    (known,) = images.look(stack())
    assert known.line == f"{NAME}: not here yet: pulumi up copies it; newer: 16.10, 17.2"
    assert "pulumi up --stack prod releases it" in images.update(stack(), NAME)
    (known,) = images.look(stack())
    assert known.here == known.there
    (registries / NAME.replace("/", "+")).write_text(manifest("built again"))
    assert "rebuilt since" in images.look(stack())[0].line
    with pytest.raises(InfraError, match="the stack has no image 'x:1' of another registry; it has: "):
        images.update(stack(), "x:1")


@pytest.mark.parametrize(
    ("tag", "tags", "found"),
    [
        ("16", ["15", "17", "16.2"], ["17"]),
        ("16.4-alpine", ["16.5", "16.5-alpine", "17.0-alpine"], ["16.5-alpine", "17.0-alpine"]),
        ("v2.3.5", ["2.3.6", "v2.3.4", "v2.4.0"], ["v2.4.0"]),
        ("bookworm", ["trixie"], []),
        ("", ["1"], []),
    ],
)
def test_newer_tags_are_versions_of_the_same_kind(tag, tags, found):
    assert images.newer(tag, tags) == found


def test_a_private_registrys_login_is_user_and_password(registries):
    made = stack(registries={"ghcr.io": "me:a:token"})
    assert made.stack.registry_logins == {"ghcr.io": {"user": "me", "password": "a:token"}}
    mirror.resolve_digests([NAME], made.stack.registry_logins)
    assert "token" not in (registries / "log").read_text()


def test_the_program_that_pulumi_runs_ends_with_json(registries, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", __import__("io").StringIO(json.dumps({"images": [NAME], "logins": {}})))
    assert mirror.resolve() == 0 and json.loads(capsys.readouterr().out) == mirror.resolve_digests([NAME], {})
