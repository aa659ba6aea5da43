"""Names of lab.yaml that nothing else has: each would be passed over in silence."""

import pytest

from catalogue.loading import images_of
from lab.contents import unknown_names
from lab.project import Extras
from tests.support import whole

UNKNOWN = {
    "an image": ({"images": {"watchme-wep:latest": "mine"}}, "images: no service runs watchme-wep:latest; did you mean 'watchme-web:latest'?"),
    "a stub": ({"stubs": {"watchme-wep": {"port": 1}}}, "stubs: no service runs watchme-wep; did you mean 'watchme-web'?"),
    "a host": ({"rehearse": ["web"]}, "rehearse: stack lab has no host web; its hosts: watchme, services, home"),
    "a foreign name's system": ({"foreign_names": {"x.example": "recal"}}, "foreign_names: there is no system recal; did you mean 'recall'?"),
    "a machine's system": ({"machines": {"pc": {"memory": "1g", "systems": ["vocoda"]}}}, "machines: there is no system vocoda; did you mean 'vocoder'?"),
}  # fmt: skip


def unknown(extras: dict) -> list[str]:
    made = whole()
    return list(unknown_names(Extras.model_validate(extras), made, images_of(made.running.values())))


@pytest.mark.parametrize(("extras", "line"), UNKNOWN.values(), ids=UNKNOWN)
def test_a_name_that_nothing_has_is_a_line(extras, line):
    assert unknown(extras) == [f"lab.yaml: {line}"]


def test_names_that_are_there_are_none():
    extras = {
        "images": {"watchme-web:latest": "mine", "recall-api:latest": "./x"}, "rehearse": ["watchme"],
        "machines": {"pc": {"memory": "1g", "systems": ["totton"]}}, "foreign_names": {"x.example": "recall"},
    }  # fmt: skip
    assert unknown(extras) == []
