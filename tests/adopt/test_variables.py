"""Environment files: which of their values stay values, which are secrets, and how these are set."""

from dataclasses import replace

import pytest

from catalogue.masking import mask_secrets
from infra.adopt.host import command, comparing, plain, understanding
from infra.adopt.host.old_files import old_environment_files
from infra.adopt.host.remarks import Remark, lines
from tests.adopt.compose_hosts import BODY, UNIT, host, read
from tests.support import stack, whole


def test_names_of_an_environment_file_become_secrets():
    body = BODY | {"env_file": [".env"], "environment": {"MODE": "x"}}
    assert understanding.wanted_paths(host(body))[0] == ["/srv/shop/.env"]
    found, remarks = read(body, {"/srv/shop/.env": {"kind": "file", "names": ["DB_URL", "MODE"]}})
    assert found["environment"] == {"MODE": "x"} and found["secrets"] == ["DB_URL"]
    assert Remark("secret", "shop", "DB_URL", "/srv/shop/.env") in remarks


def test_plain_values_of_an_environment_file_stay_values():
    """The last file that has a variable counts, the service's own value before all; a host is believed by the form."""
    body = BODY | {"env_file": ["a.env", "b.env"], "environment": {"MODE": "x"}}
    files = {
        "/srv/shop/a.env": {"kind": "file", "names": ["PORT", "TZ", "LEVEL"], "values": {"PORT": "1", "TZ": "UTC", "LEVEL": "info"}},
        "/srv/shop/b.env": {
            "kind": "file", "names": ["PORT", "TZ", "MODE", "WORD", "DB_URL"], "faults": {"DB_URL": "'", "PORT": "'"},
            "values": {"PORT": "8001", "MODE": "1", "WORD": "hunter2"},
        },
    }  # fmt: skip
    found, remarks = read(body, files)
    assert found["environment"] == {"PORT": "8001", "LEVEL": "info", "MODE": "x"}
    assert found["secrets"] == ["TZ", "WORD", "DB_URL"]
    assert found["unresolved"] == [
        "the value of DB_URL in /srv/shop/b.env has a ', which no environment file of a release can hold: give it "
        "another value, and the service too"
    ]
    assert "shop: PORT=8001" in lines(remarks, "plain value")


def test_secrets_of_an_environment_file_are_imported_by_one_command():
    _, remarks = read(
        BODY | {"env_file": ".env", "environment": ["API_URL"]},
        {"/srv/shop/.env": {"kind": "file", "names": ["A", "B"]}},
    )
    catalogue = replace(whole(), stack=stack())
    derived = understanding.DerivedSystem(whole().systems["watchme"], remarks)
    survey = command.Survey(host(BODY), derived, catalogue, "x", comparing.Comparison(), login="ssh me@203.0.113.9")
    lines_of_report = command.report_lines(replace(survey, old_files=["/srv/shop/.env"]), False)
    head = lines_of_report.index("\nenvironment files that no release reads: look whether anything else reads them:")
    assert lines_of_report[head + 1] == "  /srv/shop/.env"
    assert command._secret_lines(survey) == [
        f"ssh me@203.0.113.9 sudo cat /srv/shop/.env | infra secret import - shop --stack {catalogue.stack.name}   # A, B",
        "infra secret set shop.API_URL",
    ]


def test_only_files_that_nothing_else_reads_are_called_old():
    """No one is led to delete what the host, or a unit that stays as it is, reads."""
    files = [".env", "shared.env", "off.env", "/etc/default/shop", "/etc/environment", "/srv/other/.env"]
    facts = host(BODY | {"env_file": files})
    facts["compose"]["/srv/blog/docker-compose.yml"] = "services: {off: {image: x, env_file: [/srv/shop/off.env]}}"
    left_out = {"name": "old.service", "compose": [], "enabled": False, "active": False}
    text = "[Service]\nExecStart=/usr/local/bin/old\nEnvironmentFile=-/srv/shop/shared.env\nEnvironmentFile=/srv/shop/old.env\n"
    facts["units"] = [UNIT, UNIT | left_out | {"text": text}]
    names, _ = understanding.wanted_paths(facts)
    entries = {path: {"kind": "file", "names": ["A"]} for path in names}
    assert {"/srv/shop/off.env", "/srv/shop/old.env", "/etc/environment"} <= {*names}
    system = understanding.derive_system(facts, entries, stack(), "shop").system
    assert old_environment_files(facts, system, entries, ["/srv/shop/shop.env"]) == ["/srv/shop/.env"]
    assert old_environment_files(facts, system, entries, ["/srv/shop/.env"]) == []
    assert old_environment_files(facts, system, {}, []) == []


PLAIN_VALUES = {
    "a port": ("PORT", "8001", True), "a switch": ("DEBUG", "true", True), "a zone": ("TZ", "Asia/Tokyo", True),
    "a region": ("AWS_REGION", "ap-southeast-2", True), "a level": ("LOG_LEVEL", "INFO", True),
    "a duration": ("TIMEOUT", "30s", True), "a secret's name": ("DB_PASSWORD", "true", False),
    "a number that could be one": ("UNLOCK_CODE", "1234", False), "a word": ("BUCKET", "shop-files", False),
    "a number of any name": ("CVV", "123", False), "a door's": ("UNLOCK", "9999", False), "another's": ("DOOR", "1234", False),
    "a number with a unit": ("WORD", "1234m", False), "a word within another": ("EXPORTED", "1234", False),
    "a limit": ("DB_POOL_SIZE", "20", True), "in other letters": ("maxRetries", "5", True), "a bit": ("DEBUG", "1", True),
    "a long number": ("ACCOUNT", "123456789012", False), "a token": ("API_TOKEN", "1", False),
}  # fmt: skip


@pytest.mark.parametrize(("name", "value", "expected"), PLAIN_VALUES.values(), ids=PLAIN_VALUES)
def test_a_value_is_plain_by_its_form_and_its_name(name, value, expected):
    assert plain.is_plain(name, value, mask_secrets) is expected


def test_what_leaves_a_host_of_an_environment_file():
    text = "PORT=8001 # own\nTZ='UTC'\nDB=it's\nURL=\"a\nb\"\nexport MODE=prod\nDB_PASSWORD=1\n"
    assert plain.describe(text, mask_secrets) == {
        "names": ["PORT", "TZ", "DB", "URL", "MODE", "DB_PASSWORD"],
        "values": {"PORT": "8001", "TZ": "UTC", "MODE": "prod"}, "faults": {"DB": "'", "URL": "\n"},
    }  # fmt: skip
