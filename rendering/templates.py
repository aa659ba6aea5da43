"""Jinja2 templates out of `files/templates`, strict: an unknown name in a template is an error."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent.parent / "files" / "templates"
BANNER = "# Made by watchme-infra from {source}; hand edits are overwritten by the next release."


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def fill(template: str, source: str, **values: Any) -> bytes:
    """The template's text; `source` is the file that the reader should edit instead."""
    text = _environment().get_template(template).render(banner=BANNER.format(source=source), **values)
    return text.encode()


def literal(text: str) -> str:
    """Text for a unit: what systemd would take for a specifier is a sign of percent."""
    return text.replace("%", "%%")
