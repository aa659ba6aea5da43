"""The reference's page of the catalogue's fields, out of the models and of the words that stand below each field.

Those words are read from the source here alone: pydantic would read them whenever a command starts.
"""

import ast
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeGuard, Union, get_args, get_origin, get_type_hints

from pydantic.fields import FieldInfo

from catalogue.alert_texts import AlertExplanation, AlertText
from catalogue.alerts import Alert, CloudAlert
from catalogue.fields import ALLOWED, Model
from catalogue.models import System
from catalogue.services import ComposeService
from catalogue.stack import Stack
from catalogue.systemd.directives import Sections

Row = tuple[str, str, str, str]
HEAD = ("field", "type", "default", "what it is")
PLAIN: dict[object, str] = {
    str: "text", int: "whole number", float: "number", bool: "`true` or `false`", NoneType: "nothing",
}  # fmt: skip
LIMITS = ("ge", "gt", "le", "max_length", "min_length", "multiple_of", "pattern")
COUNTS = {"min_length": "least", "max_length": "most"}
TEXTS = "Kinds of text"
SHORT_RULE = 60  # characters of what a field may have, that need no place of their own
CUT = re.compile("(?<!command): |; (?!or )|, (?=without control)")
SHORT = {"Cors": "CORS", "Dns": "DNS", "Ec2": "EC2", "Hsts": "HSTS", "Ssh": "SSH"}
SECTIONS = "mapping: section → directive → a value, or a list of values"
# Of a model: what a person writes and the program takes away before it makes the model, and what it adds itself
TAKEN_AWAY: dict[type[Model], Row] = {
    System: (
        "`variants`", "mapping: text → fields of a system, with `services` as a mapping: name → fields", "none",
        "What differs in each variant, laid over the rest. The first is the default; `infra:variants` chooses another.",
    ),
    ComposeService: (
        "`without`", "list of texts", "none",
        "Keys of the service in the compose file (`compose` of the system) that are left out, such as `build`.",
    ),
}  # fmt: skip
ADDED: dict[type[Model], set[str]] = {System: {"variant"}}


@dataclass
class Section:
    """What the page says of a model: `places` are the fields that hold one, `heirs` the models that have its fields."""

    model: type[Model]
    group: str
    places: list[str] = field(default_factory=list[str])
    heirs: list[type[Model]] = field(default_factory=list[type[Model]])


def body(table: Callable[[tuple[str, ...], list[tuple[str, ...]]], str]) -> str:
    """The page below its head: a group for each file that people write, in it a table for each model."""
    parts: list[str] = []
    group = ""
    for section in sections():
        if section.group != group:
            group = section.group
            parts.append(f"## {group}")
        parts += [f"### {title(section.model)}", _lead(section), table(HEAD, list(rows(section.model)))]
    page = "\n\n".join(parts)
    # In an order that does not follow from which module was imported first
    kinds: list[tuple[str, ...]] = sorted({kind for kind in map(_parts, ALLOWED.values()) if f"[{kind[0]}]" in page})
    return f"{page}\n\n## {TEXTS}\n\n{table(('text', 'what it may have'), kinds)}"


def sections() -> list[Section]:
    """Every model that a person can write something of, found from what each file holds."""
    by_model: dict[type[Model], Section] = {}
    _walk(System, "In `files/systems/NAME.yaml`", by_model)
    for name, hint in _hints(Stack).items():
        for model in _models(hint):
            _walk(model, "In `Pulumi.STACK.yaml`", by_model).places.append(f"`infra:{name}`")
    for model in (Alert, CloudAlert):
        _walk(model, "In `files/alerts.yaml`", by_model)
    _walk(AlertExplanation, "In `files/alerts.en.yaml`", by_model)
    _walk(AlertText, "In `files/alerts.ja.yaml`", by_model)
    return list(by_model.values())


def rows(model: type[Model]) -> Iterator[Row]:
    """The fields that a model adds to those that it inherits."""
    texts, hints, follows = _descriptions(model), _hints(model), _following(model)
    for name in [name for name in model.model_fields if name in texts or name in follows]:
        info = model.model_fields[name]
        default = f"`{follows[name]}`" if name in follows else "required" if info.is_required() else _default(info)
        text = next((words for base in model.__mro__ if (words := _descriptions(base).get(name))), "")
        if name not in ADDED.get(model, ()):
            yield f"`{info.alias or name}`", in_words(hints[name]), default, text
    if model in TAKEN_AWAY:
        yield TAKEN_AWAY[model]


def title(model: type[Model]) -> str:
    words: list[str] = re.findall("[A-Z][a-z0-9]*", model.__name__)
    return " ".join(SHORT.get(word) or (word.lower() if number else word) for number, word in enumerate(words))


def in_words(hint: Any) -> str:
    """What a field takes, as a reader says it."""
    if hint == Sections:
        return SECTIONS
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _with_bounds(in_words(parts[0]), parts[0], parts[1:])
    if origin is Literal:
        return ("one of " if len(parts) > 1 else "") + ", ".join(map(_yaml_text, parts))
    if origin in (Union, UnionType):
        # A whole number is a number too
        kinds = [part for part in parts if part is not NoneType and not (part is int and float in parts)]
        words = [*dict.fromkeys(map(in_words, kinds))]
        return _join_words(words, ", or" if any(", " in word for word in words[:-1]) else " or")
    if origin is list:
        return _list_of(parts[0])
    if origin is dict:
        return f"mapping: {in_words(parts[0]).removeprefix('text: ')} → {in_words(parts[1])}"
    return _link(hint) if _is_model(hint) else PLAIN.get(hint, "text")


def _list_of(hint: Any) -> str:
    words, core = in_words(hint), get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if _is_model(core):
        return f"list of {words}"
    if not inspect.isclass(core):
        return f"list, each {words}"
    plain = PLAIN.get(core, "text")
    rest = words.removeprefix(plain).lstrip(":, ")
    return f"list of {plain}s{f', each {rest}' if rest else ''}"


def _with_bounds(words: str, hint: Any, marks: tuple[Any, ...]) -> str:
    """With the bounds that pydantic checks, and what the checks of the project's own ask for."""
    limits: dict[str, object] = {}
    for one in (part for mark in marks for part in (mark.metadata if isinstance(mark, FieldInfo) else [mark])):
        limits |= {name: value for name in LIMITS if (value := getattr(one, name, None)) is not None}
    first_demand = next((demand for demand in map(_demand, marks) if demand), "")
    if get_origin(hint) is list:
        head, each, rest = words.partition(", each ")
        counts = [f"at {end} {limits[name]}" for name, end in COUNTS.items() if limits.get(name)]
        return ", ".join(["one, or a " * bool(first_demand) + head, *counts]) + each + rest
    least, most, pattern = limits.get("ge"), limits.get("le"), str(limits.get("pattern", ""))
    is_range = least is not None and most is not None
    bounds: list[str] = [
        _rule(pattern) if pattern in ALLOWED else first_demand,
        f"from {least} to {most}" if is_range else "",
        f"at least {least}" if least is not None and not is_range else "",
        f"above {limits['gt']}" if "gt" in limits else "",
        f"at most {most}" if most is not None and not is_range else "",
        f"a multiple of {limits['multiple_of']}" if "multiple_of" in limits else "",
    ]
    bound_texts = [text for text in bounds if text]
    if words == "text" and bound_texts and bound_texts[0].startswith("[text"):
        return bound_texts[0]
    return (": " if words == "text" else ", ").join([words, ", ".join(bound_texts)]) if bound_texts else words


def _rule(pattern: str) -> str:
    """What a pattern allows; of a long one the beginning alone, with a link to the rest."""
    kind, rest = _parts(ALLOWED[pattern])
    return f"[{kind}](#{TEXTS.lower().replace(' ', '-')})" if rest else kind


def _parts(rule: str) -> tuple[str, str]:
    parts = CUT.split(rule, maxsplit=1) if len(rule) > SHORT_RULE else [rule]
    return parts[0], parts[1] if len(parts) > 1 else ""


def _demand(mark: Any) -> str:
    """What a check of the project's own asks for, which it says of a value that is nothing of the kind; "" where it
    checks something else."""
    check = getattr(mark, "func", None)
    for wrong in (object(), "\x00"):
        try:
            if check:
                check(wrong)
        except ValueError as error:
            return str(error)
        except (TypeError, AttributeError):
            continue
    return ""


def _lead(section: Section) -> str:
    model = section.model
    bases = [base for base in model.__bases__ if _is_model(base)]
    places = list(dict.fromkeys(section.places))
    lines = [
        " ".join(inspect.cleandoc(model.__doc__ or "").split()),
        f"It has the fields of {_join_words([*map(_link, bases)])} too." if bases else "",
        f"Its fields are also those of {_join_words([*map(_link, section.heirs)])}." if section.heirs else "",
        f"Written as {_join_words(places)}." if places else "",
    ]
    return " ".join(line for line in lines if line)


def _walk(model: type[Model], group: str, by_model: dict[type[Model], Section]) -> Section:
    if model in by_model:
        return by_model[model]
    section = by_model[model] = Section(model, group)
    for base in [base for base in model.__bases__ if _is_model(base)]:
        _walk(base, group, by_model).heirs.append(model)
    for name in [name for name in model.model_fields if name in _descriptions(model)]:
        for nested in _models(_hints(model)[name]):
            _walk(nested, group, by_model).places.append(
                f"`{model.model_fields[name].alias or name}` of {_link(model)}"
            )
    return section


def _models(hint: Any) -> Iterator[type[Model]]:
    if _is_model(hint):
        yield hint
    for part in get_args(hint)[: 1 if get_origin(hint) is Annotated else None]:
        yield from _models(part)


def _is_model(hint: Any) -> TypeGuard[type[Model]]:
    return inspect.isclass(hint) and issubclass(hint, Model) and hint is not Model


@cache
def _hints(model: type[Model]) -> Mapping[str, Any]:
    hints = get_type_hints(model, include_extras=True)
    return {name: hints[name] for name in model.model_fields}


@cache
def _descriptions(model: type) -> dict[str, str]:
    """The fields that stand in a model's own body, with the words below each; "" where there are none."""
    if not _is_model(model):
        return {}
    words_by_field: dict[str, str] = {}
    last = ""
    classes = (node for node in _parse(model.__module__).body if isinstance(node, ast.ClassDef))
    own = next(node for node in classes if node.name == model.__name__)
    for node in own.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            last = node.target.id if node.target.id in model.model_fields else ""
            words_by_field |= {last: ""} if last else {}
        elif last and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            words_by_field[last] = " ".join(str(node.value.value).split())
        else:
            last = ""
    return words_by_field


EXAMPLE = "name-of-it"  # a name that no default has otherwise


@cache
def _parse(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(sys.modules[module]))


@cache
def _following(model: type[Model]) -> Mapping[str, object]:
    """The fields whose default follows from the entry's name: what the model itself makes of an entry with a name."""
    entry: Any = {"name": EXAMPLE}
    for name, validator in model.__pydantic_decorators__.model_validators.items():
        if validator.info.mode == "before":
            entry = getattr(model, name)(entry)
    following = {name: value for name, value in entry.items() if name in model.model_fields and name != "name"}
    return {name: v.replace(EXAMPLE, "NAME") if isinstance(v, str) else v for name, v in following.items()}


def _default(info: FieldInfo) -> str:
    value = info.default
    if value is None or value in ("", [], {}):
        return "none"
    if isinstance(value, Model):
        return f"as in {_link(type(value))}"
    return _yaml_text(value)


def _yaml_text(value: Any) -> str:
    """A value as YAML has it, which reads some texts as numbers."""
    is_plain = isinstance(value, str) and value and not value.isdecimal()
    return f"`{value if is_plain else json.dumps(value)}`"


def _link(model: type[Model]) -> str:
    return f"[{title(model)}](#{title(model).lower().replace(' ', '-')})"


def _join_words(words: list[str], last: str = " and") -> str:
    return f"{', '.join(words[:-1])}{last} {words[-1]}" if len(words) > 1 else words[0]
