"""Compose files as the agent reads them: what the renderer wrote, and nothing else."""

import random

import pytest
import yaml

from agent import blocks
from rendering.compose import text_of
from rendering.host import render
from tests.support import catalogue, digests

PIECES = ["a", "b c", "$$X", "'", '"', "\\", ": ", ":", "#", " #", "-", "- ", "\n", "\t", " ", "é", "日本", "0", "1.5", "true", "~", "%", "*", "&x", "{", "[", "word " * 9, "http://x/y", "\x1b", "😀"]  # fmt: skip


def text(chance: random.Random) -> str:
    return "".join(chance.choice(PIECES) for _ in range(chance.randrange(6)))


def value(chance: random.Random, depth: int):
    kind = chance.randrange(8 if depth else 5)
    if kind < 3:
        return text(chance)
    if kind < 5:
        return chance.choice([True, False, None, 0, -3, 128, 1.5, 0.25, 10**12])
    if kind == 5:
        return {f"k{text(chance)}".replace("\n", ""): value(chance, depth - 1) for _ in range(chance.randrange(4))}
    items = [value(chance, depth - 1) for _ in range(chance.randrange(4))]
    return items if kind == 6 else {"one": items, "two": items}


@pytest.mark.parametrize("seed", range(100))
def test_what_the_renderer_writes_is_read_as_it_was(seed):
    document = {"services": {"s": value(random.Random(seed), 4)}, "x": value(random.Random(seed + 1000), 3)}
    assert blocks.parse("# a comment\n\n" + text_of(document)) == document


def test_every_rendered_compose_file_is_read():
    files = [file for file in render(catalogue(), "watchme", digests()).files if file.path.endswith(".yml")]
    assert len(files) > 5
    for file in files:
        assert blocks.parse(file.content.decode()) == yaml.safe_load(file.content)


@pytest.mark.parametrize(
    "line", ["a: |\n  x", "a: [1, 2]", "a: !x y", "? a\n: b", "a: 'x", "a: {b: c}", "a: 'x\u2028  y'"]
)
def test_another_form_is_refused(line):
    with pytest.raises(ValueError):
        blocks.parse(line)
