"""How another proxy than Nginx is led between places of a service: in its own words, at its own paths."""

import pytest

from catalogue.proxies import abilities
from rendering.holding import held_upstreams
from rendering.proxies import PROXIES
from rendering.proxy import Leading
from rendering.rollouts import rollouts
from tests.agent.releases import blue_green
from tests.support import changed, service, unchanged, whole

COURIER = Leading(
    "/etc/courier",
    to_one=lambda name, address: f"{name} to {address}\n",
    to_all=lambda name, folder: f"{name} to all of {folder}\n",
    member=lambda address: f"member {address}\n",
    suffix=".route",
)


def replicas(data):
    service(data, "superb-api").update(replicas=2)


def system(change=unchanged):
    return changed(whole(), "watchme", change).systems["watchme"]


def texts(files):
    return {file.path: file.content.decode() for file in files.files}


def test_requests_wait_behind_another_proxy():
    held = held_upstreams(system(), COURIER)
    entry = next(entry for entry in held.held if entry.service == "ast-api")
    written = texts(held)
    assert entry.link == "/etc/courier/conf.d/service-ast-api.route"
    assert written[entry.target] == f"service_ast-api to 127.0.0.1:{entry.port}\n"
    assert written[entry.waiting] == "service_ast-api to unix:/run/infra-waiting/ast-api.sock\n"


def test_slots_are_chosen_by_another_proxy():
    (files,) = rollouts(system(blue_green), COURIER)
    (slots,) = files.slots
    written = texts(files)
    assert slots.link == f"/etc/courier/conf.d/slot-{slots.service}.route"
    assert [written[choice.target] for choice in slots.choices] == [
        f"slot_{slots.service} to 127.0.0.1:{choice.port}\n" for choice in slots.choices
    ]


def test_replicas_are_members_of_an_upstream_of_another_proxy():
    (files,) = rollouts(system(replicas), COURIER)
    (entry,) = files.replicas
    written = texts(files)
    folder = "/etc/courier/replicas/superb-api.d"
    assert written["/etc/courier/conf.d/replicas_superb-api.route"] == f"replicas_superb-api to all of {folder}\n"
    assert [member.link for member in entry.members] == [f"{folder}/1.route", f"{folder}/2.route"]
    assert [written[member.target] for member in entry.members] == [
        f"member 127.0.0.1:{member.port}\n" for member in entry.members
    ]


@pytest.mark.parametrize("change", [blue_green, replicas])
def test_proxy_that_is_not_led_gets_no_such_files(change):
    assert held_upstreams(system(change), None).files == [] and not [*rollouts(system(change), None)]


def test_proxies_that_lead_say_how():
    assert all(abilities(name).leads_between == (proxy.leading is not None) for name, proxy in PROXIES.items())
