"""`infra --help` and what it teaches."""

import shlex

import click
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from infra.cli.examples import EXAMPLES
from infra.main import app

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
def test_an_example_is_one_of_its_command_and_is_shown(name, example):
    program, *words = shlex.split(example)
    command, rest = named(words)
    assert program == "infra" and " ".join(words).startswith(name)
    command.make_context(name, list(rest))  # raises for what the command does not take
    shown = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0 and f"$ {example}" in shown.output, shown.output


def test_a_fault_of_its_own_is_a_line_and_with_debug_all_of_it(monkeypatch, capsys):
    from infra import main

    def broken(*_):
        raise KeyError("x")

    monkeypatch.setattr(main, "app", broken)
    with pytest.raises(SystemExit):
        main.run()
    assert (
        "infra: KeyError: 'x'; this is a fault of infra itself: infra --debug COMMAND shows where"
        in capsys.readouterr().err
    )
    monkeypatch.setattr(main.shown, "traceback", True)
    with pytest.raises(KeyError):
        main.run()


def test_the_shell_completes_commands():
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"})
    assert "--install-completion" in shown.output and "--debug" in shown.output
