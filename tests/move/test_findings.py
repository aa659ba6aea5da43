"""What is in the way of a move: facts in, one line out; every rule with facts that break it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from catalogue.loading import Catalogue
from catalogue.problems import Problem, errors
from infra.move.costs import Cost
from infra.move.facts import Facts
from infra.move.findings import RULES, cost, findings, fine
from infra.move.ttl_history import LoweredTtl
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
    "_machines": ({"offered": set()}, "host watchme: t4g.large is not offered there; choose another instanceType"),
    "_zones": (
        {"zones": {"ap-southeast-2a": {"t4g.medium"}, "ap-southeast-2b": set()}},
        "error: ap-southeast-2: hosts: no availability zone there offers all of t4g.large (ap-southeast-2a: "
        "t4g.medium; ap-southeast-2b: ); change the instanceType",
    ),
    "machine image": ({"machine_images": {"arm64": None}}, "no machine image under /aws/service/canonical/ubuntu"),
    "_quotas": ({"vcpus_used": 31}, "running on-demand vCPUs: 31 in use, 2 more needed, the quota is 32; request an increase: aws service-quotas"),
    "addresses": ({"addresses_used": 5}, "Elastic IP addresses: 5 in use, 1 more needed, the quota is 5"),
    "untold quota": ({"vcpu_quota": None}, "warning: ap-southeast-2: quota: the quota of running on-demand vCPUs is unknown"),
    "_images": (
        {"here": IMAGES - {"watchme-api-ast:latest"}},
        "service ast-api: image watchme-api-ast:latest is in no region; "
        "uv run infra push watchme-api-ast:latest --from YOUR-IMAGE --stack prod",
    ),
    "_names": ({"repositories": {"watchme-web", "others"}}, "error: ap-southeast-2: repositories: 1 already exist and do not belong to the stack: watchme-web; delete them"),
    "some of its own": (
        {"repositories": {"watchme-web", "watchme-admin"}, "own_repositories": {"watchme-web"}}, "1 already exist and do not belong to the stack: watchme-admin",
    ),
    "_records": ({"ttls": {"api.hey-watch.me": 300}}, "may be cached for 300 s (TTL): for that long clients reach the old host"),
    "no record": ({"ttls": {"api.hey-watch.me": None}}, "warning: ap-southeast-2: api.hey-watch.me: has no record yet"),
    "_certificates": ({"acme": "timed out"}, "https://acme-v02.api.letsencrypt.org/directory does not answer: timed out"),
    "_disks": ({"image_bytes": 9 * 1024**3}, "host watchme: has a disk of 30 GiB, but its images and the system need about 33 GiB; set infra:hosts.watchme.volume to at least 33"),
}  # fmt: skip
AGO = datetime.now(UTC) - timedelta(seconds=100)
LATER = f"wait until {AGO + timedelta(seconds=3600):%Y-%m-%d %H:%M:%S} UTC"
HTTP = whole(lambda config: config.update({"infra:adminCidrs": ["198.18.0.1/32"]}))


def test_site_with_http_01_blocks_a_move():
    found = "\n".join(map(str, findings(HTTP, REGION, FINE)))
    assert "error: ap-southeast-2: site example.com: uses HTTP-01" in found


def test_moved_and_lost_data_are_reported():
    found = "\n".join(map(str, findings(HTTP, REGION, FINE)))
    assert "warning: ap-southeast-2: host services: its data is moved: " in found
    left = catalogue(with_database, lambda values: values.update({"infra:moveData": False}))
    with_volume = "\n".join(map(str, findings(left, REGION, FINE)))
    assert "has data that is not moved (infra:moveData is false): " in with_volume
    assert "/var/lib/docker/volumes/web-db/_data, /srv/web/outbox; infra move ap-southeast-2 --keep" in with_volume


def others(made: Catalogue, facts: Facts) -> list[Problem]:
    """What is found besides that the scheduler may run only once."""
    return [problem for problem in findings(made, REGION, facts) if "only one instance may run" not in problem.found]


def test_single_service_is_reported_with_its_downtime():
    assert any(
        "only one instance may run of scheduler: 503 from the switch until it has started on the new host; up to 60 s"
        in str(found)
        for found in findings(MADE, REGION, FINE)
    )


def test_a_machine_of_the_same_region_is_spoken_of_as_such():
    here = MADE.stack.region
    found = "\n".join(map(str, findings(MADE, here, replace(FINE, offered=set()))))
    assert "is not offered there; choose another --type" in found
    assert "for the new machine" in cost(MADE, here, replace(FINE, costs={here: Cost(70.0, "a list")}))


def test_a_region_that_is_not_enabled_is_all_there_is_to_say():
    (found,) = findings(MADE, REGION, Facts(False, set(), {}))
    assert "is not enabled in this account" in str(found)


def test_with_everything_fine_there_is_nothing_in_the_way():
    assert others(MADE, FINE) == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_finding(name):
    change, line = EXAMPLES[name]
    assert line in "\n".join(map(str, findings(MADE, REGION, replace(FINE, **change))))


def test_documentation_network_in_admin_cidrs_is_reported():
    (found,) = others(catalogue(), FINE)
    assert "203.0.113.10/32 is a documentation network, from which no one can connect; name your own networks" in str(
        found
    )


def test_lowered_ttl_counts_after_the_earlier_one_expired():
    text = "\n".join(map(str, findings(MADE, REGION, replace(FINE, lowered=LoweredTtl(3600, AGO)))))
    assert "error: ap-southeast-2: names: had a TTL of 3600 s until" in text and LATER in text
    seconds = int(text.split("UTC: for ")[1].split(" s more")[0])
    assert 0 < seconds <= 3500
    assert others(MADE, replace(FINE, lowered=LoweredTtl(90, AGO))) == []


def test_adopted_records_may_be_cached_longer():
    (found,) = others(MADE, replace(FINE, lowered=LoweredTtl(None, AGO)))
    assert "warning: ap-southeast-2: names: were adopted by an update at" in str(found)


def test_an_image_that_is_in_the_new_region_only_is_fine():
    assert others(MADE, replace(FINE, here=set(), there=IMAGES)) == []


def test_everything_is_reported_at_once_errors_first():
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


def test_cost_of_a_move_is_reported():
    known = replace(FINE, costs={"ap-northeast-1": Cost(66.0, "AWS"), REGION: Cost(64.5, "AWS")})
    assert cost(MADE, REGION, known) == (
        "cost per month for machines, disks and addresses, on demand: $66.00 now, $130.50 while both regions exist, "
        "$64.50 afterwards (AWS)"
    )
    assert "prices are not known here" in cost(MADE, REGION, FINE)


def test_passed_checks_are_listed_too():
    assert len(fine(MADE, REGION, FINE)) == len(RULES) - 1
    assert "disks" not in fine(MADE, REGION, replace(FINE, image_bytes=9 * 1024**3))
