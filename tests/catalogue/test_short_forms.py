"""Compose's own ways of writing an option are taken in the catalogue too, and its other names say what to write."""

import pytest
from pydantic import ValidationError

from catalogue.checks import check
from catalogue.compose.container import ContainerOptions
from catalogue.problems import CatalogueError
from tests.catalogue.changes import setting
from tests.catalogue.upstream import OWN, read
from tests.support import catalogue

FORMS = {
    "labels as a list": ({"labels": ["a.b=c", "d="]}, {"labels": {"a.b": "c", "d": ""}}),
    "labels with capitals": ({"labels": {"Team.Name[0]": "x"}}, {"labels": {"Team.Name[0]": "x"}}),
    "one name server": ({"dns": "192.0.2.1"}, {"dns": ["192.0.2.1"]}),
    "one path in memory": ({"tmpfs": "/tmp"}, {"tmpfs": ["/tmp"]}),
    "memory with a size": (
        {"tmpfs": ["/run", "/tmp:rw,noexec,size=65536k"]},
        {"tmpfs": ["/run"], "volumes": [{"type": "tmpfs", "target": "/tmp", "size": "65536k"}]},
    ),
    "a size in bytes": (
        {"tmpfs": "/tmp:size=67108864", "volumes": ["a:/a"]},
        {"volumes": [{"type": "volume", "source": "a", "target": "/a"}, {"type": "tmpfs", "target": "/tmp", "size": "64m"}]},
    ),
    "hosts by name": ({"extra_hosts": {"a": "192.0.2.1", "h": "host-gateway"}}, {"extra_hosts": ["a:192.0.2.1", "h:host-gateway"]}),
    "settings of the kernel as a list": ({"sysctls": ["net.core.somaxconn=1024"]}, {"sysctls": {"net.core.somaxconn": "1024"}}),
    "a user by number": ({"user": 1000, "group_add": [44, "video"]}, {"user": "1000", "group_add": ["44", "video"]}),
    "processors in quotes": ({"cpus": "0.50"}, {"cpus": 0.5}),
}  # fmt: skip


@pytest.mark.parametrize(("given", "options"), FORMS.values(), ids=FORMS)
def test_short_form_of_compose_is_the_same_option(given, options):
    made = ContainerOptions.model_validate(given).model_dump(exclude_defaults=True)
    assert {name: value for name, value in made.items() if value} == options
    assert not [p for p in check(catalogue(setting("web", **given))) if p.level == "error" and "found" in str(p)]


REFUSED = {
    "another option of memory": ({"tmpfs": "/tmp:uid=1000"}, "PATH:size=64m"),
    "processors that are none": ({"cpus": "half"}, "cpus"),
    "a list of numbers": ({"labels": [5]}, "labels"),
    "a host without an address": ({"extra_hosts": {"a": None}}, "extra_hosts"),
}


@pytest.mark.parametrize(("given", "words"), REFUSED.values(), ids=REFUSED)
def test_form_without_a_meaning_is_refused(given, words):
    with pytest.raises(ValidationError) as raised:
        ContainerOptions.model_validate(given)
    assert words in str(raised.value)


NAMES = {
    "restart": "leave it out: its unit restarts it",
    "logging": "leave it out: its log is in the journal",
    "env_file": "environment: for values; secrets: for the names of secret values",
    "healthcheck": "health: a path, tcp, image, or {command: …}",
    "networks": "aliases: for other names",
    "profiles": "leave the service out, or give it to a variant",
    "configs": "files: [{path: …, source: …}]",
    "mem_limit": "memory: {limit: 512m}",
    "ports": "port: of the host; container_port:",
    "expose": "leave it out: containers of a system",
    "links": "leave it out: containers reach each other by name",
    "pull_policy": "leave it out: an image is pulled by its digest",
    "platform": "leave it out: a host takes the image",
}


@pytest.mark.parametrize(("name", "words"), NAMES.items())
def test_name_of_compose_says_what_a_catalogue_has_instead(tmp_path, name, words):
    with pytest.raises(CatalogueError) as raised:
        read(tmp_path, services=[OWN["services"][0] | {name: "x"}, *OWN["services"][1:]])
    assert f"unknown field {name!r}; {words}" in str(raised.value)
