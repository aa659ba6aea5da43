"""Containers of an upstream compose file that run once are release steps."""

import pytest

from catalogue.problems import CatalogueError
from tests.catalogue.upstream import OWN, UPSTREAM, read, services

MIGRATING = UPSTREAM.replace(
    "      broker: {condition: service_started}\n",
    """      broker: {condition: service_started}
      migrate: {condition: service_completed_successfully}
""",
).replace(
    "  tika:\n",
    """  migrate:
    image: ghcr.io/paperless-ngx/paperless-ngx:${PAPERLESS_TAG:-2.13}
    command: python manage.py migrate
    restart: "no"
    depends_on:
      db: {condition: service_healthy}
    environment:
      PAPERLESS_DBHOST: db
      PAPERLESS_DBPASS: ${DB_PASS}
      ONCE: "1"
    volumes: [data:/usr/src/paperless/data]
  tika:
""",
)


def test_container_that_runs_once_becomes_a_release_step(tmp_path):
    found = services(read(tmp_path, MIGRATING))
    assert list(found) == ["webserver", "db", "broker"]
    web = found["webserver"]
    assert web["release"] == [
        {"name": "migrate", "command": ["python", "manage.py", "migrate"], "environment": {"ONCE": "1"}}
    ]
    assert web["depends_on"] == {"db": {"condition": "service_healthy"}, "broker": {}}


def test_service_waits_for_the_prerequisites_of_its_step(tmp_path):
    given = MIGRATING.replace("      db: {condition: service_healthy}\n      broker", "      broker")
    assert services(read(tmp_path, given))["webserver"]["depends_on"]["db"] == {"condition": "service_healthy"}


def test_steps_that_wait_for_each_other_run_in_that_order(tmp_path):
    given = MIGRATING.replace(
        "  tika:\n",
        """  fetch:
    image: docker.io/curlimages/curl:8.9.1
    environment: {ONCE: "2"}
  tika:
""",
    ).replace(
        """    depends_on:
      db: {condition: service_healthy}
    environment:
      PAPERLESS_DBHOST""",
        """    depends_on:
      db: {condition: service_healthy}
      fetch: {condition: service_completed_successfully}
    environment:
      PAPERLESS_DBHOST""",
    )
    steps = services(read(tmp_path, given))["webserver"]["release"]
    assert [step["name"] for step in steps] == ["fetch", "migrate"]
    assert steps[0]["image"] == {"repository": "docker.io/curlimages/curl", "tag": "8.9.1"}


ONCE_REFUSED = {
    "a mount of its own": (("volumes: [data:/usr/src/paperless/data]", "volumes: [pgdata:/pg]"), {},
        "service migrate: runs once, but differs in volumes; the same as of webserver: a release step runs its service's container with another command"),
    "another option": (('    restart: "no"\n', '    restart: "no"\n    shm_size: 1g\n'), {}, "service migrate: runs once, but differs in shm_size"),
    "a key that is not understood": (('    restart: "no"\n', "    userns_mode: host\n"), {}, "service migrate: userns_mode: the catalogue has no such"),
    "all rights": (('    restart: "no"\n', "    privileged: true\n"), {}, "service migrate: runs once, but differs in privileged"),
    "a variable without a value": (("ONCE: \"1\"", "ONCE: ${ONCE}"), {}, "service migrate: environment.ONCE: ${ONCE} has no value"),
    "not there": (("  migrate:\n    image", "  migrations:\n    image"), {}, "service webserver: depends_on.migrate: is no service of the file"),
    "named": (("x-common", "x-common"), {"name": "migrate", "purpose": "x", "memory": {"limit": "64m"}},
        "service migrate: runs once, but is listed in the catalogue; remove the entry: it is a release step of webserver"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "entry", "line"), ONCE_REFUSED.values(), ids=ONCE_REFUSED)
def test_unsupported_run_once_container_is_refused(tmp_path, change, entry, line):
    own = {"services": [*OWN["services"], entry]} if entry else {}
    assert MIGRATING.count(change[0])
    with pytest.raises(CatalogueError) as raised:
        read(tmp_path, MIGRATING.replace(*change), **own)
    assert line in str(raised.value)


def test_step_without_its_dependency_is_refused(tmp_path):
    entries = [{**OWN["services"][0], "without": ["depends_on"]}, *OWN["services"][1:]]
    with pytest.raises(CatalogueError) as raised:
        read(tmp_path, MIGRATING, services=entries)
    assert "service migrate: the catalogue does not list it" in str(raised.value)


def test_chained_steps_run_in_order(tmp_path):
    chain = "".join(
        f"  {name}:\n    image: ghcr.io/paperless-ngx/paperless-ngx:2.13\n    command: run {name}\n"
        + (f"    depends_on: {{{needed}: {{condition: service_completed_successfully}}}}\n" if needed else "")
        for name, needed in (("c", "b"), ("b", "a"), ("a", ""))
    )
    given = MIGRATING.replace("      migrate: {condition", "      c: {condition").replace(
        "  tika:\n", f"{chain}  tika:\n"
    )
    given = given.replace("  migrate:\n    image", "  other:\n    profiles: [x]\n    image")
    steps = services(read(tmp_path, given))["webserver"]["release"]
    assert [step["name"] for step in steps] == ["a", "b", "c"]


def test_changed_tag_of_a_service_applies_to_its_step(tmp_path):
    entries = [{**OWN["services"][0], "image": {"tag": "2.14"}}, *OWN["services"][1:]]
    web = services(read(tmp_path, MIGRATING, services=entries))["webserver"]
    assert web["image"]["tag"] == "2.14" and "image" not in web["release"][0]


def test_services_inherit_the_prerequisites_of_a_step_that_they_wait_for(tmp_path):
    worker = (
        "  worker:\n    image: ghcr.io/x/y:1\n    depends_on: {migrate: {condition: service_completed_successfully}}\n"
    )
    entries = [*OWN["services"], {"name": "worker", "purpose": "x", "memory": {"limit": "64m"}}]
    found = services(read(tmp_path, MIGRATING.replace("  tika:\n", f"{worker}  tika:\n"), services=entries))
    assert (
        found["worker"]["depends_on"] == {"db": {"condition": "service_healthy"}} and "release" not in found["worker"]
    )


def test_steps_of_the_catalogue_come_after_those_of_the_file(tmp_path):
    entries = [{**OWN["services"][0], "release": {"command": "own"}}, *OWN["services"][1:]]
    steps = services(read(tmp_path, MIGRATING, services=entries))["webserver"]["release"]
    assert [step["command"] for step in steps] == [["python", "manage.py", "migrate"], ["own"]]


def test_limit_of_a_step_is_set_beside_the_file(tmp_path):
    own = {"compose": OWN["compose"] | {"step_limits": {"migrate": "45m"}}}
    assert services(read(tmp_path, MIGRATING, **own))["webserver"]["release"][0]["limit"] == "45m"
    with pytest.raises(CatalogueError, match=r"compose\.step_limits: other: is no service of the file"):
        read(tmp_path, MIGRATING, compose=OWN["compose"] | {"step_limits": {"other": "45m"}})


def test_step_of_deploy_runs_once_too(tmp_path):
    text = MIGRATING.replace('    restart: "no"\n', "    deploy: {restart_policy: {condition: none}}\n")
    assert services(read(tmp_path, text))["webserver"]["release"][0]["name"] == "migrate"
