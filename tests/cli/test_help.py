"""`infra --help` and what it teaches."""

import re
import shlex
from importlib.metadata import version

import click
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from infra.cli.examples import EXAMPLES
from infra.main import app
from tests.support import ROOT, execute

GROUP = get_command(app)


def named(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that these words call, and the rest of them."""
    found = GROUP
    while hasattr(found, "commands"):
        found, words = found.commands[words[0]], words[1:]
    return found, words


def every(group=GROUP, prefix: str = "") -> list[str]:
    names = []
    for name, command in group.commands.items():
        names += every(command, f"{prefix}{name} ") if hasattr(command, "commands") else [f"{prefix}{name}"]
    return names


def test_every_command_has_an_example():
    assert sorted(every()) == sorted(EXAMPLES)


@pytest.mark.parametrize(
    ("name", "example"), [(name, example) for name, found in EXAMPLES.items() for example in found]
)
def test_example_belongs_to_its_command_and_is_shown(name, example):
    program, *words = shlex.split(example)
    command, rest = named(words)
    assert program == "infra" and " ".join(words).startswith(name)
    command.make_context(name, list(rest))  # raises for what the command does not take
    shown = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0 and f"$ {example}" in shown.output, shown.output


def test_a_list_of_commands_has_the_first_sentence_of_each():
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "300"})
    line = next(line for line in shown.output.splitlines() if " preview " in line)
    assert "Show what a change does to the cloud, to every host and to the bill." in line and "Pulumi" not in line
    assert (
        "and by whom that was changed last, by the commits of the stack's file."
        in named(["secret", "list"])[0].short_help
    )


def test_version_option_prints_the_version():
    shown = CliRunner().invoke(app, ["--version"])
    assert shown.exit_code == 0 and shown.output == f"infra {version('watchme-infra')}\n"


def test_make_help_lists_every_described_target():
    text = (ROOT / "Makefile").read_text() + (ROOT / "tests/tests.mk").read_text()
    described = dict(re.findall(r"^([a-z-]+):[^#\n]*## (.*)$", text, re.MULTILINE))
    said = execute("make", "help", cwd=ROOT).stdout
    assert len(described) > 8 and all(f"make {name}" in said and what in said for name, what in described.items())


def test_internal_error_is_one_line_and_a_traceback_with_debug(monkeypatch, capsys):
    from infra import main

    def broken(*_):
        raise KeyError("x")

    monkeypatch.setattr(main, "app", broken)
    with pytest.raises(SystemExit):
        main.run()
    assert (
        "infra: internal error: KeyError: 'x'; infra --debug COMMAND shows where it happened: please report it"
        in capsys.readouterr().err
    )
    monkeypatch.setattr(main.error_output, "traceback", True)
    with pytest.raises(KeyError):
        main.run()


def test_the_shell_completes_commands():
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"})
    assert "--install-completion" in shown.output and "--debug" in shown.output
