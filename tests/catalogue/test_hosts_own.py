"""Nothing of a product lies where the host's own programs look for theirs."""

import pytest

from agent import capabilities
from catalogue.checks import check
from catalogue.problems import CatalogueError
from catalogue.rules.hosts_own import STARTED_BY_NAME
from tests.catalogue.changes import configured
from tests.support import catalogue, changed, service, whole

REFUSED = (CatalogueError, ValueError)


def problems(system, change) -> str:
    return "\n".join(map(str, check(changed(whole(), system, change))))


@pytest.mark.parametrize(
    "name",
    [
        *capabilities.ALWAYS,
        *capabilities.FOR_ACCOUNTS,
        *capabilities.FOR_MANAGERS,
        *capabilities.FOR_CERTIFICATES,
        *capabilities.FOR_PROXIES,
    ],
)
def test_no_file_stands_before_a_program_that_the_agent_starts(name):
    assert STARTED_BY_NAME.fullmatch(f"/usr/local/bin/{name}") and STARTED_BY_NAME.fullmatch(f"/usr/local/sbin/{name}")
    assert not STARTED_BY_NAME.fullmatch(f"/usr/local/bin/my-{name}")


@pytest.mark.parametrize(
    "path",
    [
        "/etc/systemd/journald.conf.d/x.conf",
        "/etc/udev/rules.d/x.rules",
        "/etc/sysctl.d/x.conf",
        "/srv/recall/.env",
        "/usr/local/bin/recall",
        "/usr/local/lib/recall/x",
        "/usr/local/share/recall/x",
        "/usr/local/cuda/x",
        "/usr/local/etc/recall.toml",
        "/etc/recall.d/x",
        "/etc/redis/redis.conf",
        "/etc/ssl/recall/key.pem",
        "/var/lib/recall/x",
    ],
)
def test_product_may_own_paths_that_no_host_program_uses(path):
    def change(data):
        service(data, "recall-api")["files"].append({"path": path, "source": "recall/gunicorn.conf.py"})

    assert "belongs to the host or the agent" not in problems("recall", change)


def test_path_below_a_file_is_refused():
    def change(data):
        for path in ("/srv/recall/x", "/srv/recall/x/y"):
            service(data, "recall-api")["files"].append({"path": path, "source": "recall/gunicorn.conf.py"})

    assert "file /srv/recall/x/y is below /srv/recall/x, which is a file" in problems("recall", change)


def test_a_file_is_no_directory():
    def change(data):
        data["directories"].append({"path": "/srv/recall/x"})
        service(data, "recall-api")["files"].append({"path": "/srv//recall/x", "source": "recall/gunicorn.conf.py"})

    assert "/srv//recall/x is both a file and one of directories" in problems("recall", change)


@pytest.mark.parametrize(("generation", "most"), [(1, 24), (12, 20)])
def test_a_hosts_role_has_a_name_that_iam_takes(generation, most):
    for length in (most, most + 1):
        hosts = {"h" * length: {"kind": "ec2", "systems": ["watchme"], "generation": generation}}
        said = [
            problem.message for problem in check(catalogue(config=configured(hosts=hosts))) if "role" in problem.found
        ]
        assert len(said) == (length > most) and all(f"a name of at most {most} characters" in line for line in said)
