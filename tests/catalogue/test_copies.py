"""Names of fields in copies of models, which pydantic does not check."""

import pytest

from catalogue.copies import PortCopy, ServiceCopy, SystemCopy
from catalogue.host import Ec2Host, HostCopy
from catalogue.models import System
from catalogue.services import ComposeService


@pytest.mark.parametrize(
    ("copy", "model"),
    [(PortCopy, ComposeService), (ServiceCopy, ComposeService), (SystemCopy, System), (HostCopy, Ec2Host)],
)
def test_copies_name_fields_of_their_model(copy, model):
    assert copy.__annotations__ and {*copy.__annotations__} <= {*model.model_fields}
