"""What people read, in their language. A text is looked up by its English form, in which {names} stand for what
differs; what has no entry in a table stays English, so that nothing is ever lost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from agent.japanese import TEXTS

ENGLISH = "en"
TABLES: dict[str, Mapping[str, str]] = {"ja": TEXTS}


class Phrase(str):
    """A text in English that remembers its form and what was filled in: it can still be said in another language."""

    form: str
    values: dict[str, object]


def phrase(form: str, **values: Any) -> Phrase:
    """`said("{name} is missing", name=path)`; a value may be such a text itself."""
    text = Phrase(form.format(**values))
    text.form, text.values = form, values
    return text


def join_phrases(separator: str, texts: Iterable[str]) -> Phrase:
    """Several texts as one, each of which may be in another language later."""
    values = {f"part{number}": text for number, text in enumerate(texts)}
    return phrase("{between}".join(f"{{{name}}}" for name in values), between=phrase(separator), **values)


class Speaker:
    """Says texts in the language of its table."""

    def __init__(self, table: Mapping[str, str]) -> None:
        self.table = table

    def __call__(self, form: str, **values: Any) -> str:
        """A text by its English form."""
        return self.table.get(form, form).format(**{name: self.of(value) for name, value in values.items()})

    def word(self, text: str) -> str:
        """A word out of data, that the table may have."""
        return self.table.get(text, text)

    def again(self, text: str, forms: Iterable[str]) -> str:
        """A text in English that was kept without its form, where it is of one of these; any other as it stands."""
        for form in forms:
            pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(form))
            if match := re.fullmatch(pattern, text):
                return self(form, **match.groupdict())
        return text

    def of(self, text: Any) -> Any:
        """A text that was made by `phrase` in this language; any other text, or number, as it stands."""
        return self(text.form, **text.values) if isinstance(text, Phrase) else text


def speaker(language: str) -> Speaker:
    """Of the texts of hosts; English for a language that this agent does not know."""
    return Speaker(TABLES.get(language, {}))
