"""Rules about the form of a secret look at what was decrypted alone, and not at what stands in its place."""

import pytest

from catalogue.checks import check
from catalogue.encrypted_values import ENCRYPTED
from infra.preview.marks import mark
from tests.support import catalogue

WRONG = {
    "backup.RESTIC_PASSWORD": ("a b'", "has characters that other programs would read differently"),
    "logs.TOKEN": ("two words", "is not a token"),
    "monitor.webhook": ("no address", "is not a URL"),
    "registries.ghcr.io": ("token", "is not a login"),
}


def problems(path: str, value: str) -> list[str]:
    group, _, name = path.partition(".")

    def config(values):
        values["infra:secrets"] = {group: {name: value}}
        values["infra:backupRegion"] = "ap-northeast-3"
        values["infra:logs"] = {"to": "loki+https://logs.example.com"}

    def system(data):
        data["services"][0]["backup"] = {"dump": "x", "load": "y"}

    return [
        problem.message for problem in check(catalogue(system, config)) if f"infra:secrets.{path}" in problem.message
    ]


@pytest.mark.parametrize(("path", "wrong", "said"), [(path, *row) for path, row in WRONG.items()])
def test_a_secret_that_was_not_decrypted_has_any_form(path, wrong, said):
    assert said in "".join(problems(path, wrong))
    for instead in (ENCRYPTED, mark("anything")):
        assert problems(path, instead) == []
    assert said in "".join(problems(path, "[secret x]"))
