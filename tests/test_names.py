"""The names of docs/style.md: a function is a verb or a noun of the field, and a variable says what it holds."""

import ast
from collections.abc import Iterator

import pytest

from tests.support import ROOT

PACKAGES = ["agent", "benchmarks", "catalogue", "components", "infra", "lab", "policy", "rendering"]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# Those that are a verb's first form, too (`read`, `run`, `set`, `split`), are verbs here
IRREGULAR = """
beaten begun bent bitten blown born bought bound broken brought built caught chosen dealt done drawn driven
eaten fallen fed felt flown forbidden forgotten forgiven fought found frozen given gone grown heard held
hidden hung kept known laid led left lent lit lost made meant met overridden overwritten paid proven rewritten
risen said seen sent shaken shown sold sought spent spoken spun stolen stood struck stuck sworn taken taught
thought thrown told torn understood undone unknown unseen withdrawn woken won worn wound woven written
"""
# Words in -ed that are a verb's first form or a noun. Pulumi shows a rule of policy/ by its function's name
NO_PARTICIPLES = {"embed", "exceed", "feed", "need", "proceed", "seed", "shed", "speed", "unscanned"}
# After a participle these go with it; a noun (`kept_releases`) is what it describes
ADVERBS = """
after again ago alone apart as at away back before by down each elsewhere first for from here in into last off on only
out over there through to together twice under up with without
"""


def is_participle(name: str) -> bool:
    word = name.strip("_")
    return word in IRREGULAR.split() or (word.endswith("ed") and "_" not in word and word not in NO_PARTICIPLES)


def leads_with_participle(name: str) -> bool:
    """`left_out`, `asked_as`: a participle with what follows it is a sentence's part, and no noun that it describes."""
    first, *others = name.strip("_").split("_")
    return is_participle(first) and bool(others) and others[0] in ADVERBS.split()


def is_unfit(name: str) -> bool:
    return is_participle(name) or leads_with_participle(name)


def functions(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS):
            yield node.lineno, node.name


def variables(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Without fields of classes, which name keys of what is written and read."""
    fields = {
        id(statement.target)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.AnnAssign)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and id(node) not in fields:
            yield node.lineno, node.id


def dataclass_fields(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any("dataclass" in ast.unparse(entry) for entry in node.decorator_list):
            for statement in node.body:
                if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                    yield statement.lineno, f"{node.name}.{statement.target.id}"


# A reader cannot tell from these what a variable holds
VAGUE = (
    "found given wanted asked kept seen shown known said brought taken made read left written "
    "named done begun ended gone needed listed chosen held sent"
)
# Keys of JSON, of the state on hosts, of the manifest, of kinds.yaml; `read` is a verb there
FIELDS_OF_DATA = {
    "Container.kept", "Container.named", "ExpectedRecord.found", "Finding.found", "HostFiles.held", "Kind.gone", "Kind.read",
    "Problem.found", "Repair.said", "Step.said", "Transaction.made",
}  # fmt: skip


@pytest.mark.parametrize("package", PACKAGES)
def test_functions_are_verbs_or_nouns_and_variables_say_what_they_hold(package):
    paths = sorted((ROOT / package).rglob("*.py"))
    complaints = []
    for path in paths:
        tree = ast.parse(path.read_text())
        participles = [(line, f"function {name}") for line, name in functions(tree) if is_unfit(name)]
        file = path.relative_to(ROOT).as_posix()
        vague = [(line, f"variable {name}") for line, name in variables(tree) if name in VAGUE.split()]
        vague += [
            (line, f"field {name}")
            for line, name in dataclass_fields(tree)
            if name.partition(".")[2] in VAGUE.split() and name not in FIELDS_OF_DATA
        ]
        complaints += [f"{file}:{line}: {what}" for line, what in participles + vague]
    assert paths and complaints == []


def test_style_page_lists_the_vague_words():
    text = (ROOT / "docs/style.md").read_text()
    assert [word for word in VAGUE.split() if f"`{word}`" not in text] == []


def test_participles_are_known_from_verbs_and_nouns():
    refused = [
        "left_out",
        "_made_elsewhere",
        "asked_as",
        "_taken_back",
        "proved_twice",
        "told",
        "_asked",
        "named",
        "shown",
        "left",
        "made",
        "listed",
        "_opened",
        "overridden",
    ]
    allowed = ["tell", "ask_all", "unit_names", "kept_releases", "read", "_run", "split", "seed", "render_site"]
    assert [name for name in refused if not is_unfit(name)] == []
    assert [name for name in allowed if is_unfit(name)] == []


def test_variables_are_arguments_and_all_that_is_assigned():
    tree = ast.parse("def one(found):\n    for found in x: pass\nclass Two:\n    found: str\nif (found := 3): pass\n")
    assert sorted(line for line, name in variables(tree) if name == "found") == [1, 2, 5]


def test_only_fields_of_dataclasses_are_looked_at():
    tree = ast.parse("@dataclass(frozen=True)\nclass One:\n    kept: int\nclass Two(TypedDict):\n    kept: int\n")
    assert [*dataclass_fields(tree)] == [(3, "One.kept")]
