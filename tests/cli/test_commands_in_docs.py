"""Every command of `infra` that a page shows is one that it has, with options and arguments that it takes."""

import re
import shlex
from collections.abc import Iterator

import pytest
from typer.main import get_command

from infra.main import app
from tests.support import ROOT

GROUP = get_command(app)
FOLDERS = ("docs", "starter", "benchmarks")
# A list of messages, whose sentences begin with a command's name too
MESSAGES = ROOT / "docs/reference/messages.md"
PAGES = sorted(
    [*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md") if path != MESSAGES)]
)
# A command ends where the shell's grammar, a comment or prose begins
END = re.compile(r"\s(?:[|&>#…]|< |\\$|2>| ).*|…$", re.DOTALL)
CALL = re.compile(r"(?:^|(?<=[\s`$(]))(?:uv run |\.venv/bin/)?infra (?=[a-z-])")
SPAN = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^ *```[^\n]*\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
GLOBAL = {"--debug", "--version", "--help", "--json", "--install-completion"}


def commands(text: str) -> Iterator[str]:
    """What follows `infra` in code: in spans that begin with it, and at the beginning of lines of blocks."""
    blocks = FENCE.findall(text) + re.findall(r"(?:^    [^\n]*\n)+", text, re.MULTILINE)
    lines = [re.sub(r"\s#\s.*", "", line).strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
    parts = [part.strip() for code in [*lines, *SPAN.findall(FENCE.sub("", text))] for part in code.split(";")]
    for code in parts:
        if match := CALL.match(code):
            yield END.sub("", code[match.end() :]).strip()


def complaint(words: list[str]) -> str:
    """Why `infra` does not take these words; "" where it does."""
    command, path = GROUP, "infra"
    while hasattr(command, "commands") and words:
        word, *words = words
        if word.isupper() or word in GLOBAL:
            return ""
        # `backup list|now` names several, of which the last one stands for what follows
        if unknown := [name for name in word.split("|") if name not in command.commands]:
            return f"{path} has no command {unknown[0]}"
        word = word.rpartition("|")[2]
        command, path = command.commands[word], f"{path} {word}"
    options = {name: one for one in command.params for name in (*one.opts, *one.secondary_opts)}
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    positional = 0
    while words:
        word, *words = words
        word = word.strip("[]")
        if word == "--":
            break
        if word.startswith("--"):
            name, has_value, _ = word.partition("=")
            if name not in options and name not in GLOBAL:
                return f"{path} has no option {name}"
            if name in options and not has_value and not options[name].is_flag:
                words = words[1:]
        else:
            positional += 1
    if positional > len(arguments) and all(one.nargs != -1 for one in arguments):
        return f"{path} takes {len(arguments)} argument(s), and not {positional}"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_shows_commands_that_exist(page):
    wrong = []
    for command in commands(page.read_text()):
        try:
            words = shlex.split(command)
        except ValueError:
            words = command.split()
        if reason := complaint(words):
            wrong.append(f"infra {command}: {reason}")
    assert wrong == []


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("prune HOST", "infra prune takes 0 argument(s), and not 1"),
        ("prune --host HOST --stack prod", ""),
        ("nonsense", "infra has no command nonsense"),
        ("secret show x", "infra secret has no command show"),
        ("check --stack prod --alive", "infra check has no option --alive"),
        ("COMMAND --help", ""),
    ],
)
def test_unknown_argument_of_a_command_is_reported(command, reason):
    assert complaint(command.split()) == reason
