"""Containers start after what they depend on, and stop before it, whatever the order of the catalogue's entries."""

import pytest

from rendering.host import render
from rendering.places import in_order, projects
from tests.catalogue.changes import both, configured, setting
from tests.catalogue.containers import with_database
from tests.support import catalogue, digests

CONFIG = configured(secrets={"db": {"POSTGRES_PASSWORD": "x"}}, adminCidrs=["198.18.0.1/32"])


def made(*changes):
    return catalogue(both(with_database, *changes), CONFIG)


def test_prerequisites_come_first():
    """The web dashboard and the worker stand before the database that both wait for."""
    system = made(setting("worker", depends_on=["web"])).systems["watchme"]
    names = [service.name for service in in_order(system)]
    assert names.index("db") < names.index("web") < names.index("worker")
    assert sorted(names) == sorted(service.name for service in system.compose_services)
    units = [project.unit for project in projects(system)]
    assert units.index("db.service") < units.index("worker.service")


def test_a_hosts_units_stand_in_that_order():
    found = [unit.name for unit in render(made(), "watchme", digests(with_database)).units]
    assert found.index("db.service") < found.index("worker.service") < len(found)


@pytest.mark.parametrize("needs", [["worker"], ["web"]])
def test_circular_dependencies_are_ordered(needs):
    """A rule refuses it, and names it."""
    system = made(setting("db", depends_on=needs), setting("web", depends_on=["db"])).systems["watchme"]
    assert len(in_order(system)) == len(system.compose_services)
