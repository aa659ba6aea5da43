"""The types of what a host says of itself have the fields that its answers are checked for."""

from typing import get_type_hints

import pytest

from infra.adopt.host import documents, forms
from infra.forms import Form

PAIRS = [
    (documents.Facts, forms.FactsForm),
    (documents.Account, forms.Account),
    (documents.Unit, forms.Unit),
    (documents.Container, forms.Container),
    (documents.Network, forms.Network),
    (documents.Entry, forms.Entry),
    (documents.Rival, forms.Rival),
]


@pytest.mark.parametrize(("document", "form"), PAIRS, ids=[document.__name__ for document, _ in PAIRS])
def test_a_document_has_the_fields_of_its_form(document: type, form: type[Form]):
    assert set(get_type_hints(document)) == set(form.model_fields)
    assert document.__required_keys__ == {name for name, field in form.model_fields.items() if field.is_required()}
