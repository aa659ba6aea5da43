"""What is in the way of a move: facts in, one line out; every rule with facts that break it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from catalogue.loading import Catalogue
from catalogue.problems import Problem, errors
from infra.move.costs import Cost
from infra.move.facts import Facts
from infra.move.findings import RULES, cost, findings, fine
from infra.move.remembered import Lowered
from tests.catalogue.containers import with_database
from tests.support import catalogue, whole

REGION = "ap-southeast-2"
MADE = catalogue(config=lambda config: config.update({"infra:adminCidrs": ["198.18.0.1/32"]}))
IMAGES = {f"{s.image.repository}{s.image.suffix}" for s in MADE.systems["watchme"].compose_services}
FINE = Facts(
    enabled=True, offered={"t4g.large"}, machine_images={"arm64": "ami-1"}, vcpu_quota=32, address_quota=5, here=IMAGES,
    ttls={"api.hey-watch.me": 60}, latency={"ap-northeast-1": 25.0, REGION: 160.0},
)  # fmt: skip
EXAMPLES = {
    "_region": ({"enabled": False}, "error: ap-southeast-2: region: is not enabled in this account; enable it: aws account"),
    "_machines": ({"offered": set()}, "host watchme: t4g.large is not offered there; another instanceType"),
    "_zones": (
        {"zones": {"ap-southeast-2a": {"t4g.medium"}, "ap-southeast-2b": set()}},
        "error: ap-southeast-2: hosts: no availability zone there offers all of t4g.large (ap-southeast-2a: t4g.medium; ap-southeast-2b: ); give some",
    ),
    "machine image": ({"machine_images": {"arm64": None}}, "no machine image under /aws/service/canonical/ubuntu"),
    "_quotas": ({"vcpus_used": 31}, "running on-demand vCPUs: 31 in use and 2 needed, 32 allowed; ask for more: aws service-quotas"),
    "addresses": ({"addresses_used": 5}, "Elastic IP addresses: 5 in use and 1 needed, 5 allowed"),
    "untold quota": ({"vcpu_quota": None}, "warning: ap-southeast-2: quota: its quota of running on-demand vCPUs is not known"),
    "_images": (
        {"here": IMAGES - {"watchme-api-ast:latest"}},
        "service ast-api: image watchme-api-ast:latest is in no region; "
        "uv run infra push watchme-api-ast:latest --from YOUR-IMAGE --stack prod",
    ),
    "_names": ({"repositories": {"watchme-web", "others"}}, "error: ap-southeast-2: repositories: 1 already exist, and are not the stack's: watchme-web; delete them"),
    "some of its own": (
        {"repositories": {"watchme-web", "watchme-admin"}, "own_repositories": {"watchme-web"}}, "1 already exist, and are not the stack's: watchme-admin",
    ),
    "_records": ({"ttls": {"api.hey-watch.me": 300}}, "may be kept for 300 s: that long clients go to the old host"),
    "no record": ({"ttls": {"api.hey-watch.me": None}}, "warning: ap-southeast-2: api.hey-watch.me: has no record yet"),
    "_certificates": ({"acme": "timed out"}, "https://acme-v02.api.letsencrypt.org/directory does not answer: timed out"),
    "_disks": ({"image_bytes": 9 * 1024**3}, "host watchme: a disk of 30 GiB, and its images take about 33 GiB with the system; infra:hosts.watchme.volume 33, or more"),
}  # fmt: skip
AGO = datetime.now(UTC) - timedelta(seconds=100)
LATER = f"wait until {AGO + timedelta(seconds=3600):%Y-%m-%d %H:%M:%S} UTC"
HTTP = whole(lambda config: config.update({"infra:adminCidrs": ["198.18.0.1/32"]}))


def test_a_name_that_is_proved_by_where_it_points_cannot_be_moved():
    found = "\n".join(map(str, findings(HTTP, REGION, FINE)))
    assert "error: ap-southeast-2: site example.com: proves its name by HTTP-01" in found


def test_data_comes_along_or_is_named_before_it_is_lost():
    found = "\n".join(map(str, findings(HTTP, REGION, FINE)))
    assert "warning: ap-southeast-2: host services: its data comes along: " in found
    left = catalogue(with_database, lambda values: values.update({"infra:moveData": False}))
    with_volume = "\n".join(map(str, findings(left, REGION, FINE)))
    assert "has data that the move does not take along (infra:moveData false): " in with_volume
    assert "/var/lib/docker/volumes/web-db/_data, /srv/web/outbox; infra move ap-southeast-2 --keep" in with_volume


def others(made: Catalogue, facts: Facts) -> list[Problem]:
    """What is found besides that the scheduler may run only once."""
    return [problem for problem in findings(made, REGION, facts) if "only one may run" not in problem.found]


def test_what_may_run_only_once_is_named_with_how_long_it_is_away():
    assert any(
        "only one may run of scheduler: 503 from the switch on until it has started there; up to 60 s" in str(found)
        for found in findings(MADE, REGION, FINE)
    )


def test_a_machine_of_the_same_region_is_spoken_of_as_such():
    here = MADE.stack.region
    found = "\n".join(map(str, findings(MADE, here, replace(FINE, offered=set()))))
    assert "is not offered there; another --type" in found
    assert "for the new one" in cost(MADE, here, replace(FINE, costs={here: Cost(70.0, "a list")}))


def test_a_region_that_is_not_enabled_is_all_there_is_to_say():
    (found,) = findings(MADE, REGION, Facts(False, set(), {}))
    assert "is not enabled in this account" in str(found)


def test_with_everything_fine_there_is_nothing_in_the_way():
    assert others(MADE, FINE) == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_finding(name):
    change, line = EXAMPLES[name]
    assert line in "\n".join(map(str, findings(MADE, REGION, replace(FINE, **change))))


def test_an_administrator_who_could_not_connect():
    (found,) = others(catalogue(), FINE)
    assert "203.0.113.10/32 is an example, from which no one can connect; your own networks" in str(found)


def test_a_short_time_to_live_counts_once_the_long_one_before_has_passed():
    told = "\n".join(map(str, findings(MADE, REGION, replace(FINE, lowered=Lowered(3600, AGO)))))
    assert "error: ap-southeast-2: names: could be kept for 3600 s until" in told and LATER in told
    seconds = int(told.split("UTC: for ")[1].split(" s more")[0])
    assert 0 < seconds <= 3500
    assert others(MADE, replace(FINE, lowered=Lowered(90, AGO))) == []


def test_what_was_made_by_hand_may_be_remembered_for_longer():
    (found,) = others(MADE, replace(FINE, lowered=Lowered(None, AGO)))
    assert "warning: ap-southeast-2: names: were taken over by an update at" in str(found)


def test_an_image_that_is_in_the_new_region_only_is_fine():
    assert others(MADE, replace(FINE, here=set(), there=IMAGES)) == []


def test_everything_is_told_at_once_errors_first():
    change = {key: value for example, _ in EXAMPLES.values() for key, value in example.items() if key != "enabled"}
    found = findings(catalogue(), REGION, replace(FINE, **change))
    assert len(found) > 6 and found[: len(errors(found))] == errors(found)


def test_every_rule_has_an_example():
    names = {name for name in EXAMPLES if name.startswith("_")} | {
        "_administrators",
        "_challenges",
        "_data",
        "_singles",
    }
    assert names == {rule.__name__ for rule in RULES}


def test_what_it_costs():
    known = replace(FINE, costs={"ap-northeast-1": Cost(66.0, "AWS"), REGION: Cost(64.5, "AWS")})
    assert cost(MADE, REGION, known) == (
        "a month, machines, disks and addresses on demand: $66.00 now, $130.50 while both regions are there, "
        "$64.50 afterwards (AWS)"
    )
    assert "prices are not known here" in cost(MADE, REGION, FINE)


def test_what_was_looked_at_and_is_fine_is_said_too():
    assert len(fine(MADE, REGION, FINE)) == len(RULES) - 1
    assert "disks" not in fine(MADE, REGION, replace(FINE, image_bytes=9 * 1024**3))
