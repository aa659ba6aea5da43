"""Whose the files on a data disk are: accounts keep their numbers on the machine that gets the disk."""

import json
from typing import Any

import pytest

from agent import accounts, owners, restore
from agent.outcome import Refused
from agent.world import CommandResult
from tests.agent.fake import FakeWorld

PLACE = "/srv/.infra-accounts"
SHOP: Any = {"name": "shop", "home": "/srv/shop", "login": False, "lingering": False, "groups": []}
MANIFEST: Any = {"mounts": ["/srv"], "accounts": [SHOP]}


def world(noted=None, present=True) -> FakeWorld:
    made = FakeWorld()
    if present:
        made.accounts["shop"] = "/srv/shop"
    if noted is not None:
        made.files[PLACE] = (json.dumps(noted).encode(), 0o644, "root", "root")
    # No other account has a number
    made.answers["getent"] = CommandResult(2, "")
    return made


def noted_on(host: FakeWorld) -> Any:
    return json.loads(host.read(PLACE) or b"null")


# As the host in memory numbers its accounts
NUMBER = 1000 + len("shop")


def test_the_numbers_are_noted_on_the_disk():
    host = world({"gone": 7})
    owners.note(host, MANIFEST)
    assert noted_on(host) == {"gone": 7, "shop": NUMBER}


def test_without_a_data_disk_nothing_is_noted():
    host = world()
    owners.note(host, MANIFEST | {"mounts": []})
    assert host.read(PLACE) is None


def test_account_gets_its_recorded_number_on_another_machine():
    host = world({"shop": 997}, present=False)
    owners.agree(host, MANIFEST)
    accounts.ensure(host, [SHOP], owners.numbers(host, MANIFEST))
    assert "--uid 997 shop" in host.commands("useradd")[0]


def test_account_without_a_recorded_number_gets_any():
    host = world(present=False)
    accounts.ensure(host, [SHOP], owners.numbers(host, MANIFEST))
    assert "--uid" not in host.commands("useradd")[0]


@pytest.mark.parametrize("present", [True, False], ids=["has another", "is another's"])
def test_occupied_account_number_is_refused(present):
    host = world({"shop": 997}, present)
    host.answers["getent"] = CommandResult(0, "other:x:997:997::/:/bin/sh")
    with pytest.raises(Refused, match=r"account shop .*997"):
        owners.agree(host, MANIFEST)


@pytest.mark.parametrize("text", [b"", b"{", b"[1]"], ids=["empty", "torn", "another form"])
def test_unreadable_record_of_owners_does_not_block_a_release(text):
    host = world()
    host.files[PLACE] = (text, 0o644, "root", "root")
    owners.agree(host, MANIFEST)
    owners.note(host, MANIFEST)
    assert noted_on(host) == {"shop": NUMBER}


def test_files_on_a_data_disk_get_the_accounts_of_the_new_machine(tmp_path):
    (tmp_path / "noted").write_text('{"shop": 997}')
    (tmp_path / "passwd").write_text("shop:x:995:994::/srv/shop:/bin/sh\n")
    (tmp_path / "group").write_text("shop:x:994:\n")
    ids = restore.owners_noted(*(str(tmp_path / name) for name in ("noted", "passwd", "group")))
    assert ids(997, 997) == (995, 994) and ids(70, 70) == (70, 70)
