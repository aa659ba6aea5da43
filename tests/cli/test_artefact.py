"""What `infra push` makes of a directory, a file or an archive: one image of files, the same for the same files."""

import json
import os
import struct
import tarfile
from pathlib import Path

import pytest

from agent.artefacts import UNPACKED
from agent.trees import look, unpack
from infra import artefact, push, skopeo
from infra.artefact import write
from infra.errors import InfraError
from tests.support import changed, service, whole

MACHINES = {"amd64": 62, "arm64": 183}


def program(architecture: str) -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, MACHINES[architecture]) + bytes(44)


def built(folder: Path, **files: bytes | str) -> Path:
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def manifests(layout: Path) -> dict[str, dict]:
    """Architecture → its image's manifest."""
    (named,) = json.loads((layout / "index.json").read_text())["manifests"]
    index = json.loads(blob(layout, named["digest"]))
    return {item["platform"]["architecture"]: json.loads(blob(layout, item["digest"])) for item in index["manifests"]}


def blob(layout: Path, digest: str) -> bytes:
    return (layout / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes()


def inside(layout: Path, architecture: str, target: Path) -> Path:
    (layer,) = manifests(layout)[architecture]["layers"]
    target.mkdir()
    unpack(str(layout / "blobs/sha256" / layer["digest"].removeprefix("sha256:")), str(target), 1 << 30)
    return target


def files_in(folder: Path) -> set[str]:
    return {path for path, facts in look(str(folder)).items() if not facts.endswith("directory")}


def test_pushed_artefact_is_unpacked_unchanged_on_a_host(tmp_path):
    source = built(tmp_path / "dist", bin__run=program("arm64"), lib__text="hello", empty="")
    (source / "bin/run").chmod(0o700)
    (source / "bin/python3").symlink_to("/usr/bin/python3")
    (source / "here").symlink_to("lib/text")
    packed = write(tmp_path / "made", [str(source)])
    assert packed.line == "5 files, 0.0 MiB, for arm64"
    assert set(manifests(tmp_path / "made")) == {"arm64"}
    assert manifests(tmp_path / "made")["arm64"]["annotations"] == {UNPACKED: str(13 * 4096)}
    out = inside(tmp_path / "made", "arm64", tmp_path / "out")
    assert files_in(out) == {"bin/run", "bin/python3", "lib/text", "here", "empty"}
    assert (out / "here").read_text() == "hello" and os.access(out / "bin/run", os.X_OK)


def test_digest_does_not_depend_on_build_time(tmp_path):
    digests = set()
    for name, time in (("a", 1), ("b", 10**9)):
        source = built(tmp_path / name, x="1", y__z="2")
        for path in (source / "x", source / "y", source / "y/z"):
            os.utime(path, (time, time))
        (source / "x").chmod(0o644 if time == 1 else 0o600)
        digests.add(write(tmp_path / f"made-{name}", [str(source)]).digest)
    assert len(digests) == 1


def test_artefact_without_programs_is_for_all_architectures(tmp_path):
    write(tmp_path / "made", [str(built(tmp_path / "model", weights="text"))])
    assert set(manifests(tmp_path / "made")) == {"amd64", "arm64"}


def test_sources_are_assigned_to_their_architectures(tmp_path):
    sources = [str(built(tmp_path / name, run=program(name))) for name in MACHINES]
    assert write(tmp_path / "made", sources).line == "1 file, 0.0 MiB, for amd64 and arm64"
    for name in MACHINES:
        assert (inside(tmp_path / "made", name, tmp_path / f"out-{name}") / "run").read_bytes() == program(name)


def test_a_file_alone_and_an_archive(tmp_path):
    source = built(tmp_path / "dist", run=program("amd64"), text="t")
    write(tmp_path / "one", [str(source / "run")])
    assert files_in(inside(tmp_path / "one", "amd64", tmp_path / "out-one")) == {"run"}
    with tarfile.open(tmp_path / "dist.tar.gz", "w:gz") as tar:
        tar.add(source, ".")
    write(tmp_path / "packed", [str(tmp_path / "dist.tar.gz")])
    assert files_in(inside(tmp_path / "packed", "amd64", tmp_path / "out-packed")) == {"run", "text"}


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        (lambda folder: None, "is empty: name the directory"),
        (
            lambda folder: built(folder, a=program("amd64"), b=program("arm64")),
            "several architectures (a is for amd64, b",
        ),
        (lambda folder: built(folder, **{".env": "KEY=1"}), ".env may hold keys or passwords"),
        (lambda folder: built(folder, **{"conf__.env.production": "KEY=1"}), "conf/.env.production may hold"),
        (lambda folder: built(folder, **{"prod.env": "KEY=1"}), "prod.env may hold"),
        (lambda folder: built(folder, **{"tls.pem": "-----BEGIN RSA PRIVATE KEY-----"}), "tls.pem may hold"),
        (lambda folder: built(folder, **{".git__config": "x"}), ".git may hold"),
        (lambda folder: (folder / "l").symlink_to("/home/me/python"), "l is a link to /home/me/python, which a host"),
        (lambda folder: (folder / "l").symlink_to("../../x"), "l is a link to ../../x"),
        (lambda folder: (folder / "l").symlink_to(folder / "x"), "l is a link to /"),
        (lambda folder: (folder / "l").symlink_to("/usr/../home/me/x"), "l is a link to /usr/../home/me/x"),
        (lambda folder: (folder / "l").symlink_to("gone"), "l is a link to gone, which is not there"),
        (
            lambda folder: built(folder, **{".wh.x": ""}),
            ".wh.x begins with .wh., which container images use to delete files",
        ),
        (lambda folder: built(folder, **{"a__.kube__config": ""}), "a/.kube may hold"),
        (lambda folder: os.mkfifo(folder / "pipe"), "pipe is a device, a pipe or a socket"),
    ],
)
def test_unsupported_or_secret_files_are_refused(tmp_path, prepare, expected):
    (tmp_path / "dist").mkdir()
    prepare(tmp_path / "dist")
    with pytest.raises(InfraError) as error:
        write(tmp_path / "made", [str(tmp_path / "dist")])
    assert expected in str(error.value)


def test_examples_certificates_and_packages_keys_are_no_secrets(tmp_path):
    names = {
        ".env.example": "KEY=", "lib__site-packages__x__test.key": "-----BEGIN PRIVATE KEY-----",
        "ca.pem": "-----BEGIN CERTIFICATE-----",
    }  # fmt: skip
    assert write(tmp_path / "made", [str(built(tmp_path / "dist", **names))]).line.startswith("3 files")


def test_file_that_changes_during_packing_is_reported(tmp_path, monkeypatch):
    source = built(tmp_path / "dist", log="x" * 1000)

    def shorter(layout, target, part):
        os.truncate(source / "log", 10)
        return layer(layout, target, part)

    layer, real = artefact._layer, os.fstat
    monkeypatch.setattr(artefact, "_layer", shorter)
    monkeypatch.setattr(artefact.os, "fstat", lambda fd: os.stat_result([*real(fd)[:6], 1000, *real(fd)[7:10]]))
    with pytest.raises(InfraError, match="dist changed while it was packed"):
        write(tmp_path / "made", [str(source)])


def test_a_wrong_source_is_named(tmp_path):
    with pytest.raises(InfraError, match="there is no file or directory dist: build it"):
        write(tmp_path / "made", ["dist"])
    (tmp_path / "x.tar.gz").write_text("no archive")
    with pytest.raises(InfraError, match=r"x\.tar\.gz cannot be unpacked: it cannot be read"):
        write(tmp_path / "made", [str(tmp_path / "x.tar.gz")])
    with pytest.raises(InfraError, match="run is built for amd64, and not for arm64"):
        write(tmp_path / "made", [str(built(tmp_path / "a", run=program("amd64")))], "arm64")
    sources = [str(built(tmp_path / name, run=program("amd64"))) for name in ("b", "c")]
    with pytest.raises(InfraError, match="several --from are for amd64: one for each architecture"):
        write(tmp_path / "other", sources)


@pytest.mark.parametrize("part", ["", "dist"])
def test_script_gets_the_interpreter_path_of_hosts(tmp_path, part):
    """A virtual environment cannot be moved: its scripts name the place where it was made."""
    inner = f"{part}__" if part else ""
    names = {f"{inner}bin__python3": "x", f"{inner}bin__serve": "#!/home/me/venv/bin/python3\nimport x\n"}
    source, places = str(built(tmp_path / "venv", **names)), [("/opt/notes/venv", part)]
    write(tmp_path / "text", [source], places=places)  # what may not be executed is no program
    serve = tmp_path / "venv" / part / "bin/serve"
    serve.chmod(0o755)
    with pytest.raises(InfraError) as error:
        write(tmp_path / "made", [source], places=places)
    assert "begins with #!/home/me/venv/bin/python3, and hosts have that at /opt/notes/venv/bin/python3" in str(
        error.value
    )
    for right in ("/opt/notes/venv/bin/python3", "/usr/bin/python3", "/usr/bin/env python3"):
        built(tmp_path / "venv", **{f"{inner}bin__serve": f"#!{right}\n"})
        write(tmp_path / right.replace("/", "_"), [source], places=places)


def test_interpreter_lines_of_installed_packages_are_not_checked(tmp_path):
    source = built(
        tmp_path / "venv", bin__python="x", tools__build="#!/tmp/venv/bin/python\n",
        **{"lib__site-packages__x__tool.py": "#!/opt/local/bin/python\n"},
    )  # fmt: skip
    for path in (source / "tools/build", source / "lib/site-packages/x/tool.py"):
        path.chmod(0o755)
    # With a part of it at `into`, what lies elsewhere is seen by no host
    write(tmp_path / "made", [str(source)], places=[("/opt/notes/venv", "bin")])
    (source / "tools/build").unlink()
    write(tmp_path / "again", [str(source)], places=[("/opt/notes/venv", "")])


def test_compiled_python_files_are_left_out(tmp_path):
    source = built(tmp_path / "app", main__py="x = 1", lib____pycache____x_cpython_pyc="x")
    (tmp_path / "app/lib/__pycache__").mkdir(parents=True, exist_ok=True)
    (tmp_path / "app/lib/__pycache__/main.cpython-311.pyc").write_bytes(b"1")
    first = write(tmp_path / "one", [str(source)])
    (tmp_path / "app/lib/__pycache__/main.cpython-311.pyc").write_bytes(b"2")
    assert write(tmp_path / "two", [str(source)]).digest == first.digest


def test_next_step_after_a_push_names_the_command():
    """A tag that nothing runs is released by nothing."""
    found = changed(whole(), "recall", lambda data: data)
    assert push.next_step(found, "watchme-web:latest") == (
        "infra deploy web --stack lab releases it alone, or pulumi up with all that is new"
    )
    assert push.next_step(found, "watchme-web:2") == (
        "no service follows this tag: infra deploy web --image 2 --stack lab releases it, or write it in the catalogue, "
        "which has watchme-web:latest"
    )
    assert push.next_step(found, "docker.io/library/redis:7.2") == (
        "docker.io/library/redis is another registry's: pulumi up brings the tag that the catalogue names (none)"
    )


def test_only_an_artefacts_repository_takes_a_directory(tmp_path, monkeypatch):
    """A directory of an image's name is not pushed in its place."""

    def change(data):
        service(data, "recall-api")["artefact"] = {"repository": "recall", "into": "/srv/recall/venv"}

    found = changed(whole(), "recall", change)
    copied = []
    monkeypatch.setattr(push, "_there", lambda *_: None)
    monkeypatch.setattr(push, "login", lambda *_: "x")
    monkeypatch.setattr(skopeo.shutil, "which", lambda _: "/usr/bin/skopeo")
    monkeypatch.setattr(skopeo.Copier, "digest", lambda self, name: "sha256:1")
    monkeypatch.setattr(push, "_copy", lambda source, target, logins: copied.append(source))
    dist = str(built(tmp_path / "dist", run=program("amd64")))
    _, packed = push.push(found, "recall:1", [dist], "ap-northeast-1")
    assert packed == "1 file, 0.0 MiB, for amd64" and copied[0].startswith("oci:")
    push.push(found, "watchme-web:latest", [dist], "ap-northeast-1")
    assert copied[1] == f"docker-daemon:{dist}:latest"
    with pytest.raises(InfraError, match="watchme-web is an image's, which has one --from"):
        push.push(found, "watchme-web:latest", [dist, dist], "ap-northeast-1")
