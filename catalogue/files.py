"""How a file that a person wrote is read: one place that knows kinds of files, size, encoding, syntax and aliases."""

import codecs
import json
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, Protocol, cast

import yaml

from catalogue.problems import CatalogueError, Problem
from catalogue.shapes import is_list, is_mapping
from catalogue.unreadable import PLAIN, Misshapen, describe_character, explain

LARGEST = 4 * 1024**2  # bytes; the catalogue's own files have some tens of thousands
DEEPEST = 60  # levels of nested lists and mappings
MOST_VALUES = 200_000  # values of a file, with every alias written out
LONGEST_PLAIN = 100  # characters of a number: reading it takes its square
NUMBER = re.compile(r"[-+]?[0-9][0-9A-Fa-fxob_:.]*")
TEXT = "tag:yaml.org,2002:str"
MERGE = "tag:yaml.org,2002:merge"
VALUE = "tag:yaml.org,2002:value"
MERGES = {"!reset", "!override"}  # of Docker Compose, where several files are merged
ONCE = "each key of a mapping once: remove one, or merge them"
# What YAML takes a value for, by the end of its tag
KINDS = {
    "bool": "true or false", "int": "a number", "float": "a number", "timestamp": "a date or a time", "null": "nothing",
}  # fmt: skip
NOT_OF_ITS_TYPE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class _Constructs(Protocol):
    def construct_object(self, node: yaml.Node, deep: bool) -> Any: ...


class _StrictLoader(yaml.CSafeLoader):
    """YAML whose keys are text, each given once: the last of two would win without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        first_lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise Misshapen("a key is a list or a mapping", "a text as key, such as name:", key.start_mark)
            if key.tag not in (TEXT, MERGE):
                problem = f"key {key.value}, which YAML does not read as a text"
                raise Misshapen(problem, f'put it in quotes: "{key.value}"', key.start_mark)
            for sign in (key.value[:1], key.value[-1:]) if not key.style else ():
                if not sign.isprintable():
                    raise Misshapen(
                        f"{describe_character(sign)} beside the key {key.value.strip()!r}", "use spaces", key.start_mark
                    )
            if key.value in first_lines:
                problem = f"key {key.value!r} is defined twice: here and on line {first_lines[key.value]}"
                raise Misshapen(problem, ONCE, key.start_mark)
            first_lines[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            # PyYAML's own types leave this method's out
            return cast("_Constructs", super()).construct_object(node, deep)
        except NOT_OF_ITS_TYPE as error:
            # A date with a 13th month, a tag on a value that it does not fit
            problem, allowed = f"a value does not fit its type: {error}", PLAIN
            if isinstance(node, yaml.ScalarNode):
                kind = KINDS.get(node.tag.rpartition(":")[2], "of its tag")
                problem = f"{node.value[:60]!r}, which YAML takes for {kind}, but it is not valid"
                allowed = "put it in quotes where it is a text"
            raise Misshapen(problem, allowed, node.start_mark) from None


def _unknown_tag(_: _StrictLoader, node: yaml.Node) -> NoReturn:
    tag = node.tag.replace("tag:yaml.org,2002:", "!!")
    problem, allowed = f"the tag {tag[:60]} has no meaning here", f"remove it: {PLAIN}"
    if node.tag in (MERGE, VALUE):
        problem, allowed = f"{node.value} alone has a special meaning in YAML", "put it in quotes where it is a text"
    elif tag in MERGES:
        problem = f"{tag} is for merging compose files, but only one is read here"
        allowed = "write the resulting value"
    raise Misshapen(problem, allowed, node.start_mark)


_StrictLoader.add_constructor(None, _unknown_tag)
for _tag in (MERGE, VALUE):
    _StrictLoader.add_constructor(_tag, _unknown_tag)


def read_bytes(
    path: Path, file: str, largest: int = LARGEST, smaller: str = "check that it is the right file, or make it smaller"
) -> bytes:
    """The content of a regular file; `file` is its name in messages, `largest` its limit in bytes, `smaller` what to
    do about one that has more.

    Raises CatalogueError for a file that is missing, that cannot be read, that is something else (a pipe would be
    waited for), or that is too large.
    """
    try:
        # A pipe without a writer would hold up the opening
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
            status = os.fstat(opened.fileno())
            if not stat.S_ISREG(status.st_mode):
                kind = "a directory" if stat.S_ISDIR(status.st_mode) else "a pipe, a socket or a device"
                raise _error(file, "file", f"is {kind}", "put a regular file there")
            content = opened.read(largest + 1)
    except FileNotFoundError:
        raise _error(file, "file", "does not exist", "restore it, or correct its name") from None
    except IsADirectoryError:
        raise _error(file, "file", "is a directory", "put a regular file there") from None
    except OSError as error:
        raise _error(file, "file", f"cannot be read: {error.strerror}", "make it readable by this account") from None
    if len(content) > largest:
        raise _error(file, "file", f"has more than {largest} bytes", smaller)
    return content


def read_text(path: Path, file: str) -> str:
    """The text of a file, without the mark that Windows programs begin one with (BOM). Raises CatalogueError, with the
    line of what is not UTF-8."""
    return decode_text(read_bytes(path, file), file)


def decode_text(content: bytes, file: str) -> str:
    """As `read_text`, of a content that was read already. Raises CatalogueError."""
    if content.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)) or b"\0\0" in content[:4]:
        raise _error(file, "line 1", "the file is in UTF-32", "save the file as UTF-8")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content[:2]:
        raise _error(file, "line 1", "the file is in UTF-16, as Windows programs save it", "save the file as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        fault = f"byte 0x{content[error.start]:02x} is not UTF-8"
        raise _error(file, f"line {line}", fault, "save the file as UTF-8") from None


def read_compose(path: Path, file: str) -> Any:
    """The value of a compose file, which is YAML 1.2: `yes`, `22:22` and a date are text. Raises as `read_yaml`."""
    return read_yaml(path, file, ComposeLoader)


def read_yaml(path: Path, file: str, loader: type[yaml.CSafeLoader] | None = None) -> Any:
    """The value of a YAML file: plain data, no value in itself, at most MOST_VALUES values.

    Raises CatalogueError with the file and, where it is known, the line.
    """
    text = read_text(path, file)
    try:
        return parse_yaml(text, loader or _StrictLoader)
    except yaml.MarkedYAMLError as error:
        raise _error(file, *explain(error, text)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position if isinstance(error.position, int) else 0) + 1
        raise _error(file, f"line {line}", f"character {error.character!r} is not allowed", "remove it") from None
    except yaml.YAMLError as error:
        raise _error(file, "file", str(error).splitlines()[0], PLAIN) from None


def parse_yaml(text: str, loader: type[yaml.CSafeLoader] = yaml.CSafeLoader) -> Any:
    """The value of a YAML text from outside, such as a host's. Raises yaml.YAMLError."""
    _check_size(text)
    try:
        return yaml.load(text, loader)
    except yaml.YAMLError:
        raise
    except NOT_OF_ITS_TYPE as error:
        raise yaml.YAMLError(f"a value does not fit its type: {error}") from None


def _without_sixties(tag: str, pattern: re.Pattern[str]) -> tuple[str, re.Pattern[str]]:
    """`25:25` is a pair of ports, and 12:30 a time: no number to the base of 60, as YAML 1.1 has it."""
    return tag, re.compile(rf"(?!.*:)(?:{pattern.pattern})", re.VERBOSE) if tag in _NUMBERS else pattern


_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_StrictLoader.yaml_implicit_resolvers = {
    first: [_without_sixties(tag, pattern) for tag, pattern in pairs]
    for first, pairs in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


class ComposeLoader(_StrictLoader):
    """YAML 1.2's core: true and false alone are truth values, numbers have no colons, and there are no dates."""


_OLD = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")
ComposeLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag not in _OLD]
    for first, pairs in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?[0-9]+\.[0-9]+(?:[eE][-+]?[0-9]+)?", "-+0123456789"),
):
    for _sign in _first:
        _resolvers = ComposeLoader.yaml_implicit_resolvers.setdefault(_sign, [])
        _resolvers.append((f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$")))


class SourceText:
    """A YAML text's single values as a person wrote them: YAML reads `1.10` as 1.1, `0700` as 448, `on` as true."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def root(self) -> Any:
        return yaml.compose(self.text, yaml.CSafeLoader)

    def at(self, path: tuple[int | str, ...], value: Any) -> str | None:
        """What stands at a path that was read as `value`, or None where that cannot be found. Parts of the path that
        the text does not have, such as the kind that a model was chosen by, are passed over; so are those that have
        nothing below them: the kind `unit` is also a field."""
        node = self.root
        for number, part in enumerate(path, 1):
            below = _below(node, part)
            if below is not None and (number == len(path) or not isinstance(below, yaml.ScalarNode)):
                node = below
        if not isinstance(node, yaml.ScalarNode) or node.style:
            return None
        try:
            plain_value = yaml.load(node.value, _StrictLoader)
        except (yaml.YAMLError, ValueError):
            return None
        return node.value if (type(plain_value), plain_value) == (type(value), value) else None


def _below(node: Any, part: int | str) -> Any:
    """The node of an entry of a mapping or a list, or None."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
        return node.value[part] if part < len(node.value) else None
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == part), None)
    return None


def read_json(path: Path, file: str) -> Any:
    """The value of a JSON file. Raises CatalogueError, with the line."""
    try:
        return json.loads(read_text(path, file))
    except json.JSONDecodeError as error:
        raise _error(file, f"line {error.lineno}", error.msg, "write valid JSON") from None
    except RecursionError:
        raise _error(file, "file", "lists and mappings are nested too deeply", "write valid JSON") from None
    except ValueError:
        raise _error(file, "file", "a number with thousands of digits", "write valid JSON") from None


def parse_toml(content: bytes, file: str) -> dict[str, object]:
    """What a TOML file holds. Raises CatalogueError, with the line."""
    text = decode_text(content, file)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem, _, place = str(error).partition(" (at ")
        number = re.match(r"line (\d+)", place)
        line = int(number[1]) if number else text.count("\n") + 1
        raise _error(file, f"line {line}", problem[:1].lower() + problem[1:], "write valid TOML") from None
    except (RecursionError, ValueError) as error:
        # Python reads no number of thousands of digits
        deep = isinstance(error, RecursionError)
        fault = "values are nested too deeply" if deep else "a number with thousands of digits"
        raise _error(file, "file", fault, "write valid TOML") from None


def read_mapping(path: Path, file: str, allowed: str) -> dict[str, object]:
    """The mapping that a YAML file holds; an empty file is an empty one. `allowed` says what it should hold.

    Raises CatalogueError.
    """
    value = read_yaml(path, file)
    return mapping({} if value is None else value, file, "file", allowed)


def mapping(value: object, file: str, where: str, allowed: str) -> dict[str, object]:
    """The value itself, when it is a mapping. Raises CatalogueError."""
    if not is_mapping(value):
        kind = "a list" if is_list(value) else "nothing" if value is None else "a single value"
        raise _error(file, where, f"is {kind}", allowed)
    return value


def _check_size(text: str) -> None:
    """Raises MarkedYAMLError for a value that contains itself, for one too deep, and for too many values.

    Works on events, before anything is built: a small text with aliases of aliases can stand for billions of values.
    """
    sizes: dict[str, int] = {}
    open_values: list[tuple[str | None, int]] = [(None, 0)]  # the anchor and the size so far of what is open
    for event in _events(text):
        if isinstance(event, yaml.CollectionStartEvent):
            open_values.append((event.anchor, 1))
            if len(open_values) > DEEPEST:
                _refuse(f"more than {DEEPEST} levels of lists and mappings", "nest fewer", event)
            continue
        if isinstance(event, yaml.ScalarEvent):
            anchor, size = event.anchor, 1
            if len(event.value) > LONGEST_PLAIN and not event.style and NUMBER.fullmatch(event.value):
                _refuse(f"a number of more than {LONGEST_PLAIN} digits", "put it in quotes where it is a text", event)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_values.pop()
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in {anchor for anchor, _ in open_values}:
                problem = f"alias *{event.anchor} is inside the value that it refers to"
                _refuse(problem, "an alias of a value that ends above", event)
            # Of an unknown one the loader speaks
            anchor, size = None, sizes.get(event.anchor or "", 1)
        else:
            continue
        if anchor:
            sizes[anchor] = size
        outer, before = open_values[-1]
        open_values[-1] = outer, before + size
        if before + size > MOST_VALUES:
            _refuse(f"more than {MOST_VALUES} values, aliases (*NAME) counted each time", "fewer of them", event)


def _events(text: str) -> Iterator[Any]:
    yield from yaml.parse(text, yaml.CSafeLoader)


def _refuse(problem: str, allowed: str, event: Any) -> NoReturn:
    raise Misshapen(problem, allowed, event.start_mark)


def _error(file: str, where: str, fault: str, allowed: str) -> CatalogueError:
    return CatalogueError([Problem(file, where, fault, allowed)])
