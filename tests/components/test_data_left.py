"""Data that goes with the region that a move deletes: said by the program itself, once."""

from typing import Any

import pulumi
import pytest

from components.move import Move, warn_of_data
from tests.catalogue.containers import with_database
from tests.support import catalogue

LEAVING = {"ap-southeast-2": {"watchme": "127.71.0.9"}}


@pytest.fixture
def said(monkeypatch) -> list[str]:
    lines: list[str] = []

    def warn(text: str, *_: Any) -> None:
        lines.append(text)

    monkeypatch.setattr(pulumi.log, "warn", warn)
    return lines


def test_data_to_be_deleted_is_reported_with_the_remedy(said):
    left_behind = catalogue(with_database, lambda values: values.update({"infra:moveData": False}))
    warn_of_data(left_behind, Move("AT", "ap-southeast-2", LEAVING))
    assert said == [
        "watchme in ap-southeast-2 is deleted with its data: /var/lib/docker/volumes/web-db/_data, /srv/web/outbox. Make "
        "a copy first if it is needed; infra:moveData true moves the data too; infra:standbyRegions [ap-southeast-2] keeps "
        "the host"
    ]


def test_without_data_and_without_a_region_to_leave_nothing_is_said(said):
    warn_of_data(catalogue(), Move("AT", "ap-southeast-2", LEAVING))
    warn_of_data(catalogue(with_database), Move("AT", "ap-southeast-2"))
    assert said == []
