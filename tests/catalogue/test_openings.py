"""Containers that reach further than their network and their product's data: allowed for a reason, shown, and rendered."""

import pytest
import yaml
from pydantic import ValidationError

from catalogue.checks import check, ensure_valid
from catalogue.compose.ports import port_entry
from catalogue.compose.values import PublishedPort
from catalogue.problems import errors
from catalogue.rules.openings import INSTEAD
from components.network import openings as openings_of_network
from policy.of_stack import exceptions
from rendering.compose import data
from rendering.files import HostFiles
from rendering.host import render
from tests.catalogue.changes import both, configured
from tests.catalogue.containers import having
from tests.catalogue.reaching import HOST, PUBLIC, WAYS, allowed, needing
from tests.support import catalogue, digests

CONFIG = configured(adminCidrs=["198.18.0.1/32"])


def rendered(change) -> HostFiles:
    return render(ensure_valid(catalogue(change, CONFIG)), "watchme", digests(change))


def body(change):
    files = [file for file in rendered(change).files if "/docker-compose" in file.path]
    bodies = [body for file in files for body in yaml.safe_load(file.content)["services"].values()]
    return next(body for body in bodies if body["container_name"] == "watchme-web-prod")


@pytest.mark.parametrize("name", WAYS)
def test_exception_with_a_reason_is_allowed_and_shown(name):
    change = allowed(name)
    made = catalogue(change, CONFIG)
    assert errors(check(made)) == []
    [(place, given)] = exceptions(made, "watchme").items()
    assert place.endswith(" api") and list(given) == [name]
    assert given[name].startswith(f"web: {WAYS[name][1]}"[:20]) and given[name].endswith("(it is what it is for)")
    assert body(change), "and it is rendered"


@pytest.mark.parametrize("name", WAYS)
def test_reason_for_one_exception_does_not_allow_another(name):
    others = {other: "a reason" for other in WAYS if other != name}
    found = [str(problem) for problem in errors(check(catalogue(needing(name, exceptions=others), CONFIG)))]
    assert len(found) == 1 and f"exceptions: {{{name}: REASON}}" in found[0], found


def test_each_has_a_name_and_an_advice():
    assert set(WAYS) == set(INSTEAD)


@pytest.mark.parametrize("reason", ["", " ", None, 1, "a\nb"])
def test_a_reason_is_a_line(reason):
    with pytest.raises(ValidationError):
        catalogue(needing("privileged", exceptions={"privileged": reason}), CONFIG)


def test_published_ports_bind_all_addresses_and_own_port_loopback():
    change = having(publish=["25", "8883:1883", "51820/udp", "10000-10002/udp"], exceptions=PUBLIC)
    assert body(change)["ports"] == [
        "127.0.0.1:3001:3001", "25:25/tcp", "8883:1883/tcp", "51820:51820/udp", "10000-10002:10000-10002/udp",
    ]  # fmt: skip
    published = [(port.first, port.last, port.protocol, port.service) for port in rendered(change).published]
    assert published[1:3] == [(8883, 8883, "tcp", "web"), (51820, 51820, "udp", "web")]


def test_published_port_may_equal_the_port_of_the_service():
    assert body(having(publish=["3001"], exceptions=PUBLIC))["ports"] == ["3001:3001/tcp"]


def test_host_network_publishes_no_port():
    change = having(**HOST | {"publish": ["5353/udp"], "exceptions": HOST["exceptions"] | PUBLIC})
    found = body(change)
    assert found["network_mode"] == "host" and "ports" not in found and "networks" not in found
    [container] = [one for one in rendered(change).containers if one.service == "web"]
    assert container.network == ""


def test_a_release_step_is_in_the_same_network():
    change = having(**HOST, memory={"limit": "100m"}, release={"command": "migrate"})
    [step] = rendered(change).steps
    service = yaml.safe_load(step.document)["services"]["release"]
    assert service["network_mode"] == "host" and "networks" not in service


def test_docker_socket_and_read_only_mounts_are_no_data():
    both = {"docker-socket": "it shows logs", "host-paths": "of the host too"}
    change = having(volumes=["/var/run/docker.sock:/var/run/docker.sock", "/var/log:/logs:ro"], exceptions=both)
    [system] = [system for system in catalogue(change, CONFIG).running.values() if system.system == "watchme"]
    assert not {"/var/run/docker.sock", "/var/log"} & {*data(system)}
    assert not {"/var/run/docker.sock", "/var/log"} & {item["path"] for item in rendered(change).directories}


@pytest.mark.parametrize("mount", ["/etc:/x", "/:/host", "/var/lib/docker:/x", "/root:/x"])
def test_host_paths_stay_unwritable_with_a_reason(mount):
    found = errors(check(catalogue(having(volumes=[mount], exceptions={"host-paths": "a reason"}), CONFIG)))
    assert any("does not belong to the product" in str(problem) for problem in found)


def test_firewall_opens_only_published_ports():
    change = having(publish=["25", "10000-10002/udp"], exceptions=PUBLIC)
    usual = openings_of_network(catalogue(lambda data: None, CONFIG))
    more = [one for one in openings_of_network(catalogue(change, CONFIG)) if one not in usual]
    assert [(one.first, one.last, one.protocol, one.cidr) for one in more] == [
        (25, 25, "tcp", "0.0.0.0/0"), (10000, 10002, "udp", "0.0.0.0/0"),
    ]  # fmt: skip
    assert [one.label for one in more] == ["25", "10000-10002-udp"]


@pytest.mark.parametrize(
    "given", ["0", "65536", "25-20", "1-2:5-9", "25:2525:1", "a", "25/sctp", "", None, True, [25], "1-65535", "٢٥"]
)
def test_invalid_port_is_refused(given):
    with pytest.raises(ValidationError):
        PublishedPort.model_validate(given)


@pytest.mark.parametrize("text", ["25", "8883:1883", "51820/udp", "10000-10002/udp", "100-102:200-202"])
def test_published_port_is_serialised_as_it_was_written(text):
    assert PublishedPort.model_validate(text).model_dump() == text
    assert PublishedPort.model_validate(
        PublishedPort.model_validate(text).model_dump()
    ) == PublishedPort.model_validate(text)


@pytest.mark.parametrize(
    ("given", "text", "is_on_loopback"),
    [
        ("8080:80", "8080:80", False), ("127.0.0.1:8080:80", "8080:80", True), ("[::1]:8:80/tcp", "8:80", True), (3000, "3000", False),
        ("0.0.0.0:25:25", "25", False), ("51820:51820/udp", "51820/udp", False), ("5-6:5-6", "5-6", False),
        ({"target": 80, "published": "8080", "host_ip": "127.0.0.1", "protocol": "udp"}, "8080:80/udp", True),
        ({"target": 80}, "80", False),
    ],
)  # fmt: skip
def test_ports_of_compose_files(given, text, is_on_loopback):
    entry = port_entry(given)
    assert (entry.text, entry.is_on_loopback) == (text, is_on_loopback)


def test_drill_gets_no_exceptions_of_its_service():
    """What it starts works on scratch data alone."""
    every = dict.fromkeys(
        ("host-paths", "docker-socket", "privileged", "capabilities", "devices", "unconfined"), "a reason"
    )
    change = having(
        volumes=["web-data:/data", "/var/run/docker.sock:/s", "/var/log:/logs:ro", "/etc/localtime:/etc/localtime:ro"],
        privileged=True, cap_add=["SYS_ADMIN"], devices=["/dev/sda"], security_opt=["seccomp=unconfined", "no-new-privileges"],
        exceptions=every, backup={},
    )  # fmt: skip
    config = both(CONFIG, configured(backupRegion="ap-southeast-2", secrets={"backup": {"RESTIC_PASSWORD": "x"}}))
    [entry] = render(ensure_valid(catalogue(change, config)), "watchme", digests(change)).backups
    service = yaml.safe_load(entry.drill)["services"]["web"]
    assert {mount["target"] for mount in service["volumes"]} == {"/data", "/etc/localtime"}
    assert not {"privileged", "cap_add", "devices"} & {*service} and service["security_opt"] == ["no-new-privileges"]
