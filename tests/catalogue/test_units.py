"""Native units: every rule about them with an example that breaks it, and every obsolete directive's new place."""

import pytest

from catalogue.checks import check
from catalogue.problems import errors
from catalogue.systemd.directives import MOVED, canonical, judge, table
from catalogue.systemd.values import JUDGES
from tests.catalogue.units import EXAMPLES
from tests.support import changed, service, whole


@pytest.mark.parametrize("name", EXAMPLES)
def test_rule(name):
    system, change, line = EXAMPLES[name]
    assert line in "\n".join(str(problem) for problem in check(changed(whole(), system, change)))


def test_five_systems_pass_without_warnings_of_units():
    found = check(whole())
    assert not errors(found)
    assert [problem.file for problem in found] == ["files/systems/watchme.yaml"]


def test_with_caddy_there_is_no_blue_green():
    def caddy(config):
        config["infra:hosts"]["watchme"]["proxy"] = "caddy"

    def spare(data):
        service(data, "ast-api").update(rollout="blue-green", spare_port=8098, spare_address="172.27.0.98")

    found = "\n".join(str(problem) for problem in check(changed(whole(caddy), "watchme", spare)))
    assert "has rollout: blue-green, but the proxy of host watchme is caddy; must have the default" in found


@pytest.mark.parametrize("old", MOVED, ids=lambda old: f"[{old[0]}] {old[1]}")
def test_obsolete_directive_is_renamed_with_a_warning(old):
    section, name = old
    home, now = MOVED[old]
    kind = table()[home][now]
    good = {"boolean": True, "seconds": "30s", "limit": "1G", "count": 3, "units": "a.service", "paths": "/srv"}.get(
        kind, "x"
    )
    (finding,) = judge({section: {name: good}}, [section])
    assert finding.level == "warning" and f"use its new name, [{home}] {now}" in finding.rule
    assert canonical({section: {name: good}}) == {home: {now: good}}


def test_every_directive_has_a_kind_that_is_judged():
    assert {kind for names in table().values() for kind in names.values()} <= set(JUDGES)
