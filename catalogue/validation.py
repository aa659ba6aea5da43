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
    error: ValidationError, file: str, where: Callable[[Path], str], fields: Callable[[Path], list[str]] = lambda _: []
) -> list[Problem]:
    """One problem per finding. `where` names a path; `fields` are the names allowed beside its last part."""
    findings = error.errors(include_url=False)
    misspelt = {_nearest(finding, fields) for finding in findings if finding["type"] == "extra_forbidden"}
    return [
        Problem(file, where(finding["loc"]), *_sentence(finding, fields(finding["loc"])))
        for finding in findings
        # The one that was meant is not missing, it is misspelt
        if finding["type"] != "missing" or finding["loc"] not in misspelt
    ]


def _nearest(finding: Any, fields: Callable[[Path], list[str]]) -> Path | None:
    near = difflib.get_close_matches(str(finding["loc"][-1]), fields(finding["loc"]), 1)
    return (*finding["loc"][:-1], near[0]) if near else None


def _sentence(finding: Any, fields: list[str]) -> tuple[str, str]:
    value, name = finding["input"], str(finding["loc"][-1]) if finding["loc"] else ""
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
            return f"found {_shown(value)}", f'write it in quotes: "{value}"'
        case "string_pattern_mismatch" if finding["ctx"]["pattern"] in ALLOWED:
            return f"found {_shown(value)}", ALLOWED[finding["ctx"]["pattern"]]
        case "value_error":
            return f"found {_shown(value)}", str(finding["ctx"]["error"])
        case _:
            return f"found {_shown(value)}", finding["msg"][:1].lower() + finding["msg"][1:]


def _shown(value: Any) -> str:
    try:
        text = str(value) if isinstance(value, date) else repr(value)
    except ValueError:
        # Python writes no number of thousands of digits
        text = "a number of thousands of digits"
    return text if len(text) <= 60 else text[:57] + "..."
