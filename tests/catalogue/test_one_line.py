"""One mistake is one line, and its advice can be followed."""

import copy

import pytest
import yaml

from catalogue.checks import check
from catalogue.problems import CatalogueError, errors
from catalogue.rules.hosts_own import elsewhere, is_the_hosts
from infra.project.compose_entries import find_secrets
from tests.catalogue.changes import setting
from tests.support import catalogue


def lines(system=lambda data: None, config=lambda values: None) -> list[str]:
    return [
        problem.message
        for problem in errors(check(catalogue(system, config)))
        if "memory limits" not in problem.message
    ]


def test_two_services_of_one_name_are_one_line_with_both_places():
    (said,) = lines(lambda data: data["services"].append(copy.deepcopy(data["services"][0])))
    assert "2 services have this name: entries 1 and " in said


def test_a_variable_in_two_places_is_one_line():
    (said,) = lines(setting("web", environment={"TOKEN": "x"}, secrets=["TOKEN"]))
    assert "TOKEN is both under environment and under secrets" in said


def test_system_listed_on_two_hosts_is_one_problem():
    (said,) = lines(config=lambda v: v["infra:hosts"].update(second=copy.deepcopy(v["infra:hosts"]["watchme"])))
    assert "system watchme is listed twice: on host watchme and on host second" in said


PLACES = {
    "/etc/cron.d/x": "kind: timer", "/var/spool/cron/x": "kind: timer", "/etc/systemd/system/x.service": "kind: unit",
    "/etc/nginx/conf.d/x.conf": "sites of the system", "/etc/sudoers.d/x": "", "/etc/security/limits.d/x": "ulimits",
    "/etc/profile.d/x.sh": "environment of the service", "/etc/apt/sources.list.d/x": "packages", "/proc/sys/x": "sysctl",
    "/run/x": "RuntimeDirectory", "/usr/bin/x": "/usr/local/", "/etc/passwd": "accounts", "/etc/hosts": "leave it out",
    "/etc/systemd/journald.conf": "drop_ins", "/etc/tmpfiles.d/x": "directories", "/root/.ssh/x": "leave it out",
}  # fmt: skip


@pytest.mark.parametrize(("place", "said"), PLACES.items())
def test_path_of_the_host_is_refused_with_the_field_of_the_catalogue(place, said):
    assert is_the_hosts(place) and said in elsewhere(place) and "/etc/NAME/" not in elsewhere(place)


@pytest.mark.parametrize("field", ["files", "tmpfs", "volumes"])
@pytest.mark.parametrize("path", ["/", "/proc", "/proc/sys/x", "/sys/fs"])
def test_mount_over_kernel_file_systems_is_refused(field, path):
    given = {"files": [{"path": path, "source": "a"}], "tmpfs": [path], "volumes": [f"a:{path}"]}
    with pytest.raises((CatalogueError, ValueError), match=r"below /|outside /|belongs to the kernel"):
        catalogue(setting("web", **{field: given[field]}))


@pytest.mark.parametrize("path", ["/etc/passwd", "/etc/shadow", "/processes"])
def test_a_file_of_the_image_may_be_covered(path):
    catalogue(setting("web", files=[{"path": path, "source": "a"}], tmpfs=["/sysroot"]))


@pytest.mark.parametrize("field", ["container_port"])
def test_a_container_port_alone_has_a_use_or_is_left_out(field):
    (said,) = [line for line in lines(setting("web", port=None, container_port=3000, routes=[])) if field in line]
    assert (
        "port: if a program of the host uses it; routes: then a port is assigned; or leave it out: other containers reach each of its ports by its name"
        in said
    )
    assert not [line for line in lines(setting("web", port=None, container_port=3000)) if field in line]


def test_a_name_outside_the_zone_is_named_with_the_zone_and_a_name_that_is_allowed():
    (said,) = [
        line
        for line in lines(config=lambda values: values.update({"infra:names": {"api.hey-watch.me": "a.example.org"}}))
        if "infra:names" in line
    ]
    assert "a.example.org is not in the zone hey-watch.me" in said and "such as api.hey-watch.me" in said


def test_an_entry_of_a_list_is_named_as_it_stands_in_the_file():
    text = 'services: {w: {environment: [A=b, DB_PASSWORD=hunter2], command: [x, "--password=hunter2"]}}'
    assert [*find_secrets(yaml.safe_load(text), text)] == [
        "services.w.environment.DB_PASSWORD", "services.w.command.password",
    ]  # fmt: skip
    text = "services: {w: {volumes: [a, {source: 'postgres://a:hunter2@db/x'}]}}"
    (place,) = find_secrets(yaml.safe_load(text), text)
    assert place == "services.w.volumes, entry 2.source"
