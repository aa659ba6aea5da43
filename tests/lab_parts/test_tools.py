"""What the lab brings from elsewhere is used when it has the expected hash, and not otherwise."""

import hashlib
import tarfile

import pytest

from lab import tools


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A download site that answers every address with one archive; what was asked for."""
    (tmp_path / "pulumi").mkdir()
    (tmp_path / "pulumi/pulumi").write_text("#!/bin/sh\n")
    archive = tmp_path / "served.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "pulumi", "pulumi")
    asked: list[str] = []

    def curl(*command: str) -> bool:
        asked.append(command[-1])
        (tmp_path / "cache/pulumi.tar.gz").write_bytes(archive.read_bytes())
        return True

    monkeypatch.setattr(tools, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(tools, "succeeds", curl)
    return archive, asked


def test_a_download_with_the_expected_hash_is_used(served, monkeypatch):
    archive, asked = served
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    monkeypatch.setattr(tools, "PULUMI_RELEASE_SHA256", {"x64": digest, "arm64": digest})
    folder = tools._download_pulumi()
    assert folder and (folder / "pulumi").exists()
    assert tools._download_pulumi() == folder and len(asked) == 1


def test_a_download_with_another_hash_is_not_used(served, capsys):
    _, asked = served
    assert tools._download_pulumi() is None
    assert "does not have the expected hash" in capsys.readouterr().err
    assert not list(tools.CACHE.glob("pulumi*"))
    # Nor is it asked for at every run
    assert tools._download_pulumi() is None and len(asked) == 1
