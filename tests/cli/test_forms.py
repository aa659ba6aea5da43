"""The forms of what hosts say: nothing in them is without a bound."""

from collections.abc import Iterator
from typing import Any

import pytest

import infra.adopt.host.forms
import infra.answers
import infra.move.forms
from infra.errors import InfraError
from infra.forms import Form


def all_forms(form: type[Form] = Form) -> Iterator[type[Form]]:
    for further in form.__subclasses__():
        yield further
        yield from all_forms(further)


def unbounded(schema: Any, where: str) -> Iterator[str]:
    """Where a number may be any number: it is calculated with, and printed."""
    if isinstance(schema, list):
        for number, part in enumerate(schema):
            yield from unbounded(part, f"{where}.{number}")
    elif isinstance(schema, dict):
        if schema.get("type") in ("integer", "number"):
            least = {"minimum", "exclusiveMinimum"} & set(schema)
            most = {"maximum", "exclusiveMaximum"} & set(schema)
            if not (least and most):
                yield where
        for key, part in schema.items():
            yield from unbounded(part, f"{where}.{key}")


def test_numbers_in_answers_of_hosts_are_bounded():
    forms = list(all_forms())
    assert infra.answers.Status in forms and infra.adopt.host.forms.FactsForm in forms
    assert [where for form in forms for where in unbounded(form.model_json_schema(), form.__name__)] == []


BACKUP = {"service": "db", "snapshot": "0" * 8, "bytes": 1, "seconds": 1.5}


@pytest.mark.parametrize("spoilt", [{"bytes": 10**400}, {"seconds": 1e300}, {"seconds": float("nan")}, {"bytes": -1}])
def test_a_number_beyond_all_that_can_be_is_refused_in_a_line(spoilt):
    assert infra.answers.check_answer("backup-now", BACKUP, "web1") == BACKUP
    with pytest.raises(InfraError, match="web1: the answer to 'backup-now' has another form"):
        infra.answers.check_answer("backup-now", BACKUP | spoilt, "web1")
