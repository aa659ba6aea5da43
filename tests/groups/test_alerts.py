"""What a group's first host alerts of, and what the dashboard shows of it."""

import pytest

from agent.measures.group import copies_missing, hosts_away, quorum_lost
from agent.monitor.conditions import MEASURES
from infra.dashboard import host
from tests.support import whole

GROUP = {
    "hosts": {"web": "ready", "web-2": "down", "web-3": "drained"},
    "services": {"api": {"replicas": 3, "hosts": ["web", "web"]}, "admin": {"replicas": 1, "hosts": ["web-3"]}},
    "error": "",
}
LOST = {"hosts": {}, "services": {}, "error": "it has no leader"}


class Look:
    def __init__(self, group):
        self.group = group


def measured(measure, group):
    return {entry.subject: (entry.value, entry.detail) for entry in measure(Look(group), {})}


def test_hosts_that_take_nothing_and_missing_copies_are_alerts():
    assert {host: value for host, (value, _) in measured(hosts_away, GROUP).items()} == {
        "web": 0,
        "web-2": 1,
        "web-3": 1,
    }
    assert measured(hosts_away, GROUP)["web-2"][1] == " (down)"
    assert measured(copies_missing, GROUP) == {"api": (1, " (2 of 3: web)"), "admin": (0, " (1 of 1: web-3)")}
    assert measured(quorum_lost, GROUP) == {"Docker Swarm": (0, "")}


def test_lost_quorum_is_one_alert():
    assert measured(quorum_lost, LOST) == {"Docker Swarm": (1, " (it has no leader)")}
    assert measured(hosts_away, LOST) == {} == measured(copies_missing, LOST)


@pytest.mark.parametrize("measure", [hosts_away, copies_missing, quorum_lost])
def test_host_without_a_group_has_no_such_alert(measure):
    assert measured(measure, None) == {}
    assert measure in MEASURES.values()


def test_alerts_of_groups_say_which_host_and_service():
    texts = {alert.alert: alert.text for alert in whole().host_alerts}
    assert texts["group-host-away"].format(subject="web-2") == "web-2 runs nothing for its group"
    assert "{subject}" in texts["spread-incomplete"] and "{subject}" in texts["group-quorum"]


def test_dashboard_shows_where_spread_services_run():
    rows = list(host._spread({"group": GROUP}))
    assert [(name, places) for name, _, places in rows] == [("admin", "web-3"), ("api", "web, web")]
    assert "2 / 3" in rows[1][1] and list(host._spread({"group": None})) == []
