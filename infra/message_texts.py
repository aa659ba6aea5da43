"""Which texts in a program's source people read as messages, and how each reads with what differs left open."""

import ast
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

# Errors of programming, and how a program ends without a word
INTERNAL = {
    "AssertionError", "AttributeError", "KeyError", "LookupError", "NotImplementedError", "TypeError",
    "KeyboardInterrupt", "SystemExit", "Exit", "TimeoutExpired", "IncompleteRead",
}  # fmt: skip
# Functions and classes whose arguments people read
REPORTERS = {
    "Failed", "Finding", "Outcome", "Problem", "Refused", "Remark", "Unfit", "WorkOutcome", "add", "append", "confirm",
    "echo", "guess", "one_line", "phrase", "print", "refusal_outcome", "say", "tell", "twice", "unfit", "unsaid",
    "warn", "worded", "_check_behind", "_error", "_finding", "_folder", "_give_up", "_not_started", "_one_line",
    "_print_refusal", "_refuse",
}  # fmt: skip
# A command, a program's source, markup, an expression, a Japanese text
NO_MESSAGE = re.compile(
    r"^(aws|uv run|sudo|docker|systemctl|curl|infra|import) |^([#|-]|@@) |^\[ |\$\$|<[a-z/!]|\x1b|\bexec\(|[ぁ-んァ-ン]"
)
FEWEST_WORDS = 3
PROBLEM = ("file", "where", "found", "allowed")  # the arguments of a finding about a file
LEAVES = (ast.Constant, ast.Name, ast.expr_context, ast.arguments, ast.operator, ast.cmpop)
# What is filled in by name: `{name}`, `{name:.0f}`
NAMED = re.compile(r"\{(\w+)(?:![rs])?(?::[.,\d]*[a-z%]?)?\}")
# Names that do not say what stands there
VAGUE = {
    "above", "ago", "all", "all_of_them", "around", "asks", "at_work", "away", "back", "began", "beside", "did",
    "done", "ended", "fine", "gone", "good", "had", "has", "have", "here", "how", "how_many", "ill", "instead",
    "is_of_none", "late", "looks", "meant", "more", "must", "narrow", "near", "need", "needs", "now", "ours", "own",
    "passed", "runs", "said", "seen", "serves", "should", "still", "strange", "theirs", "there", "too_open", "took",
    "twice", "untold", "uses", "want", "was", "way", "weak", "whose", "wide", "will", "wish", "without", "wrong",
}  # fmt: skip
# Attributes that say less than what they belong to
PLAIN = {"name", "value", "text", "id", "path", "stdout", "stderr", "line", "strerror"}

Scope = ast.FunctionDef | ast.AsyncFunctionDef | None


def constants_of(trees: Iterable[ast.Module]) -> dict[str, str]:
    """Constant → its value as text, of those that are the same in every module that has one of this name."""
    values: dict[str, set[str]] = defaultdict(set)
    for tree in trees:
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                for target in node.targets:
                    if isinstance(target, ast.Name) and target.id.isupper():
                        values[target.id].add(str(node.value.value))
    return {name: next(iter(texts)) for name, texts in values.items() if len(texts) == 1}


def texts_of(tree: ast.Module, constants: Mapping[str, str], errors: Collection[str] | None = None) -> Iterator[str]:
    """The messages of a module, each once; where `errors` are given, of these exceptions alone."""
    reader = _Reader(tree, constants)
    texts = (
        text.lstrip(" .,;:")  # what continues another text
        for node, scope in reader.nodes
        for expression in (_read_by_people(node) if errors is None else _exception_texts(node, errors))
        for text in reader.resolve(expression, scope)
    )
    yield from dict.fromkeys(filter(is_message, texts))


def is_message(text: str) -> bool:
    """A text of several words, some of which are the program's own."""
    own = re.findall(r"[a-z]{2,}", text)
    return len(text.split()) >= FEWEST_WORDS and len(own) > 1 and not NO_MESSAGE.search(text)


def _read_by_people(node: ast.AST) -> Iterator[ast.expr]:
    match node:
        case ast.Raise(exc=ast.Call(func=error) as call) if not _names(error) & INTERNAL:
            yield from _arguments(call)
        case ast.Call(func=function) if _names(function) & REPORTERS:
            yield from [node] if _is_problem(node) else _arguments(node)
        case ast.Return(value=ast.Call(func=ast.Name(id=name)) as made) if name[0].isupper():
            yield from [made] if _is_problem(made) else _arguments(made)
        case ast.Return(value=ast.expr() as value) | ast.Yield(value=ast.expr() as value):
            yield value
        case _:
            pass


def _is_problem(call: ast.Call) -> bool:
    return "Problem" in _names(call.func) and len(_arguments(call)) >= len(PROBLEM)


def _exception_texts(node: ast.AST, errors: Collection[str]) -> list[ast.expr]:
    match node:
        case ast.Raise(exc=ast.Call(func=error) as call) if _names(error) & set(errors):
            return _arguments(call)
        case _:
            return []


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _names(function: ast.expr) -> set[str]:
    """What is called, by its last name; either of two."""
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return {name}
        case ast.IfExp(body=one, orelse=other):
            return _names(one) | _names(other)
        case _:
            return set()


class _Reader:
    """A module whose names can be followed to the texts that they hold. `nodes`: each with the function it is in."""

    def __init__(self, tree: ast.Module, constants: Mapping[str, str]) -> None:
        self.constants = constants
        self.nodes: list[tuple[ast.AST, Scope]] = []
        self.values_of: dict[tuple[Scope, str], list[ast.expr]] = defaultdict(list)
        self._visit(tree, None)

    def _visit(self, parent: ast.AST, scope: Scope) -> None:
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, LEAVES):
                continue
            self.nodes.append((node, scope))
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr) and node.value:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    self._hold(target, node.value, scope)
            self._visit(node, node if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else scope)

    def _hold(self, target: ast.expr, value: ast.expr, scope: Scope) -> None:
        if isinstance(target, ast.Name):
            self.values_of[scope, target.id].append(value)
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, its_value in zip(target.elts, value.elts, strict=False):
                self._hold(one, its_value, scope)

    def resolve(self, node: ast.expr, scope: Scope, followed: frozenset[str] = frozenset()) -> Iterator[str]:
        """The texts that an expression can be."""
        match node:
            case ast.Constant() | ast.JoinedStr() | ast.BinOp():
                yield " ".join(self.text(node, scope).split())
                return
            case ast.Call() if _is_problem(node):
                yield from self._problem(node, scope)
                return
            case ast.IfExp(body=one, orelse=other):
                parts = [one, other]
            case ast.BoolOp(values=parts) | ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Dict(values=parts):
                pass
            case ast.ListComp(elt=value) | ast.GeneratorExp(elt=value):
                parts = [value]
            case ast.Starred(value=value) | ast.NamedExpr(value=value) | ast.Subscript(value=value):
                parts = [value]
            case ast.Call(func=ast.Attribute(value=value, attr="format")):
                parts = [value]
            case ast.Call(func=ast.Attribute(value=value, attr="get"), args=arguments):
                parts = [value, *arguments[1:]]
            case ast.Name(id=name) if name not in followed:
                followed |= {name}
                parts = self.values_of.get((scope, name)) or self.values_of.get((None, name), [])
            case _:
                parts = []
        for part in parts:
            yield from self.resolve(part, scope, followed)

    def _problem(self, call: ast.Call, scope: Scope) -> Iterator[str]:
        """The fault with what is allowed, where both are one text; otherwise each fault, which people search for."""
        _, _, fault, allowed = _arguments(call)[: len(PROBLEM)]
        faults, rules = list(self.resolve(fault, scope)), list(self.resolve(allowed, scope))
        if len(faults) == 1 and len(rules) == 1:
            yield f"{faults[0]}; {rules[0]}"
        else:
            yield from faults or (f"…; {rule}" for rule in rules)

    def text(self, node: ast.expr, scope: Scope) -> str:
        """A literal with what is filled in by name."""
        match node:
            case ast.Constant(value=str(text)):
                return NAMED.sub(_placeholder, text)
            case ast.JoinedStr(values=parts):
                return self._join(parts, scope)
            case ast.FormattedValue(value=value, conversion=conversion, format_spec=form):
                piece = self._sentence(value, scope)
                return f"'{self.placeholder_text(value)}'" if conversion == ord("r") else _as_printed(piece, form)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._join([left, right], scope)
            case _:
                return self._sentence(node, scope)

    def _join(self, parts: list[ast.expr], scope: Scope) -> str:
        """What follows a word without a blank is more of a sentence, and not a name."""
        text = ""
        for part in parts:
            piece = self.text(part, scope)
            is_filled_in = isinstance(part, ast.FormattedValue | ast.Name)
            is_glued = is_filled_in and re.search(r"[\w)…]$", text) and piece.isupper()
            text += "…" if is_glued else piece
        return re.sub("…+", "…", text)

    def _sentence(self, node: ast.expr, scope: Scope) -> str:
        """A name that holds one text is that text."""
        values = self.values_of.get((scope, node.id), []) if isinstance(node, ast.Name) else []
        is_text = len(values) == 1 and isinstance(values[0], ast.Constant | ast.JoinedStr)
        text = self.text(values[0], None) if is_text else ""
        return text if is_message(text) else self.placeholder_text(node)

    def placeholder_text(self, node: ast.expr) -> str:
        """The name, in capitals, of what stands there; a constant's value; … for what has no name."""
        match node:
            case ast.Constant(value=value):
                return str(value)
            case ast.Name(id=name):
                return self.constants.get(name) or _capitals(name)
            case ast.Attribute(value=value, attr=name):
                return self.placeholder_text(value) if name in PLAIN else _capitals(name)
            case ast.Subscript(slice=ast.Constant(value=str(name))):
                return _capitals(name)
            case ast.Call(func=ast.Attribute(value=ast.Constant(), attr="join"), args=[value]):
                return self.placeholder_text(value)
            case ast.Call(
                func=ast.Name(id="count") | ast.Attribute(attr="count"), args=[_, ast.Constant(value=str(noun))]
            ):
                return f"… {noun}s"
            case ast.Call(func=ast.Name(id="sorted" | "str" | "sum"), args=[value, *_]) | ast.Starred(value=value):
                return self.placeholder_text(value)
            case _:
                return "…"


def _placeholder(match: re.Match[str]) -> str:
    """What follows a word without a blank is more of a sentence, as in _join."""
    is_glued = re.search(r"[\w)}]$", match.string[: match.start()])
    return "…" if is_glued else _capitals(match[1])


def _as_printed(piece: str, form: ast.expr | None) -> str:
    """A number as the program prints it: `{10.0:.0f}` is 10."""
    match form:
        case ast.JoinedStr(values=[ast.Constant(value=str(written))]) if re.fullmatch(r"\d+(\.\d+)?", piece):
            return format(float(piece) if written.endswith("f") else int(piece), written)
        case _:
            return piece


def _capitals(name: str) -> str:
    if len(name) == 1 or name == "self" or name.strip("_") in VAGUE:
        return "…"
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).strip("_").upper()
