"""Where the lab takes Pulumi's plugins from."""

import lzma
from pathlib import Path

import pytest

from lab import plugins
from lab.plugins import Machine
from lab.say import LabError

HERE = Machine("linux", "amd64")
REAL = b"\x7fELF" + b"x" * 5000
COMMAND = "pulumi-resource-command-v1.2.1"


@pytest.mark.parametrize(
    "name",
    [
        COMMAND,
        f"{COMMAND}-linux-amd64",
        f"{COMMAND}.xz",
        f"{COMMAND}-linux-amd64.xz",
        "resource-command-v1.2.1/pulumi-resource-command",
    ],
)
def test_a_plugin_of_a_folder_is_installed(tmp_path, monkeypatch, name):
    given = tmp_path / "given"
    (given / name).parent.mkdir(parents=True)
    (given / name).write_bytes(lzma.compress(REAL) if name.endswith(".xz") else REAL)
    (given / "README.md").write_text("not a plugin")
    monkeypatch.setenv("LAB_PLUGINS", str(given))
    monkeypatch.setattr(plugins, "this_machine", lambda: HERE)
    monkeypatch.setattr(plugins, "_download", lambda *_: False)
    home = tmp_path / "home"
    # What an earlier run put there gives way, and what is missing in the folder is as ever
    assert plugins._install(home, "command", None) == "stand-in"
    assert plugins.install(home) == {"aws": "stand-in", "command": "real"}
    program = home / "plugins/resource-command-v1.2.1/pulumi-resource-command"
    assert program.read_bytes() == REAL and program.stat().st_mode & 0o777 == 0o755
    # and stays where the next run names no folder
    monkeypatch.delenv("LAB_PLUGINS")
    assert plugins.install(home)["command"] == "real"


def test_lab_of_real_plugins_has_no_stand_in(tmp_path, monkeypatch):
    monkeypatch.setattr(plugins, "_download", lambda *_: False)
    monkeypatch.setenv("LAB_REAL_PLUGINS", "1")
    with pytest.raises(LabError, match="LAB_REAL_PLUGINS=1, but the plugin aws, command could be neither downloaded"):
        plugins.install(tmp_path)
    monkeypatch.setattr(plugins, "_install", lambda *_: "real")
    assert plugins.install(tmp_path) == {"aws": "real", "command": "real"}


WRONG = {
    "no such folder": (None, "no such folder"),
    "an empty folder": ([], "found nothing"),
    "another version": (["pulumi-resource-command-v1.0.0"], "found pulumi-resource-command-v1.0.0"),
    "another machine": (
        [f"{COMMAND}-darwin-arm64.xz"],
        f"for linux-amd64 (optionally .xz); found {COMMAND}-darwin-arm64.xz",
    ),
    "another name": (["command", "notes.txt"], "wanted pulumi-resource-aws-v7.51.1 or pulumi-resource-command-v1.2.1"),
}


@pytest.mark.parametrize(("names", "line"), WRONG.values(), ids=WRONG)
def test_folder_without_a_matching_plugin_is_refused_with_its_files(tmp_path, names, line):
    folder = tmp_path / "given"
    if names is not None:
        folder.mkdir()
        for name in names:
            (folder / name).write_bytes(REAL)
    with pytest.raises(LabError) as refused:
        plugins.from_folder(folder, HERE)
    assert str(refused.value).startswith(f"LAB_PLUGINS={folder}") and line in str(refused.value)


def test_a_file_that_cannot_be_unpacked_is_named(tmp_path):
    path = tmp_path / f"{COMMAND}.xz"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(LabError, match=r"pulumi-resource-command-v1\.2\.1\.xz cannot be unpacked"):
        plugins.unpack_program(path)


def test_without_any_the_stand_in_is_started_by_this_python(tmp_path):
    text = plugins.stand_in("command")
    assert (
        text.startswith("#!/bin/sh\n")
        and "-m lab.fakes.command" in text
        and str(Path(plugins.__file__).parent.parent) in text
    )
