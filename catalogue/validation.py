"""Pydantic's findings, said in the catalogue's one-line form."""

import difflib
from collections.abc import Callable
from datetime import date
from typing import Any

from pydantic import ValidationError

from catalogue.fields import ALLOWED
from catalogue.problems import Problem

Path = tuple[int | str, ...]


def problems_of(
    error: ValidationError,
    file: str,
    where: Callable[[Path], str],
    fields: Callable[[Path], list[str]] = lambda _: [],
    written: Callable[[Path, Any], str | None] = lambda path, value: None,
) -> list[Problem]:
    """One problem per finding. `where` names a path; `fields` are the names allowed beside its last part; `written` is
    the text that the file has for a value, where it is known."""
    findings = error.errors(include_url=False)
    misspelt = {_nearest(finding, fields) for finding in findings if finding["type"] == "extra_forbidden"}
    return [
        Problem(
            file,
            where(finding["loc"]),
            *_sentence(finding, fields(finding["loc"]), written(finding["loc"], finding["input"])),
        )
        for finding in findings
        # The one that was meant is not missing, it is misspelt
        if finding["type"] != "missing" or finding["loc"] not in misspelt
    ]


def _nearest(finding: Any, fields: Callable[[Path], list[str]]) -> Path | None:
    near = difflib.get_close_matches(str(finding["loc"][-1]), fields(finding["loc"]), 1)
    return (*finding["loc"][:-1], near[0]) if near else None


def _sentence(finding: Any, fields: list[str], written: str | None) -> tuple[str, str]:
    value, name = finding["input"], str(finding["loc"][-1]) if finding["loc"] else ""
    # A text is shown in quotes, so that spaces at its ends are seen
    written = None if value is None or isinstance(value, str) else written
    found = f"found {_cut(written) if written else _shown(value)}"
    match finding["type"]:
        case "extra_forbidden":
            near = difflib.get_close_matches(name, fields, 1)
            return f"unknown field {name!r}", f"did you mean {near[0]!r}?" if near else f"fields: {', '.join(fields)}"
        case "missing":
            return f"field {name!r} is missing", "it is required"
        case "union_tag_invalid" | "union_tag_not_found":
            kinds = finding["ctx"].get("expected_tags", "compose").replace("'", "")
            return f"kind {_shown(value.get('kind') if isinstance(value, dict) else value)}", f"kinds: {kinds}"
        case "string_type" if isinstance(value, (int, float, date)):
            return found, f'write it in quotes: "{written or _shown(value)}"'
        case "string_type" if value is None:
            return found, 'write a text; one without characters is ""'
        case "bool_type":
            return found, "write true or false, without quotes"
        case "string_pattern_mismatch" if finding["ctx"]["pattern"] in ALLOWED:
            return found, ALLOWED[finding["ctx"]["pattern"]]
        case "value_error":
            return found, str(finding["ctx"]["error"])
        case _:
            return found, finding["msg"][:1].lower() + finding["msg"][1:]


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    try:
        return _cut(str(value) if isinstance(value, date) else repr(value))
    except ValueError:
        # Python writes no number of thousands of digits
        return "a number of thousands of digits"


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
