"""Is a value of JSON what a type of agent/documents says: every field declared, none missing, each of its type."""

import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict


def misfits(value: Any, form: Any, where: str = "") -> Iterator[str]:
    """A line for each thing that does not fit."""
    origin, args = get_origin(form), get_args(form)
    if is_typeddict(form):
        yield from _of_fields(value, form, where)
    elif origin is list:
        if not isinstance(value, list):
            yield f"{where}: {value!r} is no list"
            return
        for number, item in enumerate(value):
            yield from misfits(item, args[0], f"{where}[{number}]")
    elif origin is dict:
        if not isinstance(value, dict):
            yield f"{where}: {value!r} is no mapping"
            return
        for key, item in value.items():
            yield from misfits(key, args[0], f"{where}.{key} (its name)")
            yield from misfits(item, args[1], f"{where}.{key}")
    elif origin in (Union, types.UnionType):
        if all(list(misfits(value, one, where)) for one in args):
            yield f"{where}: {value!r} is none of {form}"
    elif form is float:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            yield f"{where}: {value!r} is no number"
    elif origin is Literal:
        if value not in args:
            yield f"{where}: {value!r} is none of {args}"
    # To Python a truth is a whole number, too
    elif type(value) is not form:
        yield f"{where}: {value!r} is no {form.__name__}"


def _of_fields(value: Any, form: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: {value!r} is no mapping"
        return
    hints = get_type_hints(form)
    for name in sorted(form.__required_keys__ - value.keys()):
        yield f"{where}.{name} is missing"
    for name, item in value.items():
        if name in hints:
            yield from misfits(item, hints[name], f"{where}.{name}")
        else:
            yield f"{where}.{name} is not declared in {form.__name__}"
