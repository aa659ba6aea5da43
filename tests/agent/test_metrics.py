"""What is published to CloudWatch of a host, and what becomes of a run when it cannot be."""

import json
from urllib.parse import parse_qs

import pytest

from agent import lock
from agent.credentials import CREDENTIALS
from agent.monitor import metrics, run
from agent.monitor.conditions import UNSEEN, ConditionResult, evaluate
from agent.monitor.look import HostFacts
from agent.world import Usage
from rendering.alarms import alarms
from tests.agent.conditions import KEY, MEMINFO, watchme
from tests.agent.fake import FakeWorld
from tests.agent.native import release as native_release
from tests.agent.native import serving
from tests.agent.stored import current
from tests.support import whole

GiB = 1024**3


def listening(world: FakeWorld, status: int = 200) -> list[tuple[str, dict[str, str]]]:
    """What CloudWatch is asked from now on, as (URL, fields)."""
    asked = []

    def fetch(url, headers, method="GET", body=None, timeout=20):
        if "monitoring" not in url:
            return 200, b""
        assert method == "POST" and "AWS4-HMAC-SHA256 Credential=AKIA1/" in headers["Authorization"]
        assert "/ap-northeast-1/monitoring/aws4_request" in headers["Authorization"] and timeout == metrics.TIMEOUT
        asked.append((url, {name: value for name, (value,) in parse_qs(body.decode()).items()}))
        return status, b""

    world.fetch = fetch  # type: ignore[method-assign]
    return asked


def values_of(fields: dict[str, str]) -> dict[tuple[str, str, str], float]:
    """(namespace, metric, dimensions) → value, as CloudWatch reads it."""
    found = {}
    number = 1
    while (name := fields.get(f"MetricData.member.{number}.MetricName")) is not None:
        head = f"MetricData.member.{number}"
        place = {fields[f"{head}.Dimensions.member.1.Name"]: fields[f"{head}.Dimensions.member.1.Value"]}
        assert f"{head}.Dimensions.member.2.Name" not in fields
        found[fields["Namespace"], name, json.dumps(place)] = float(fields[f"{head}.Value"])
        number += 1
    return found


def services() -> FakeWorld:
    world = serving(native_release("services", "recall"))
    world.files["/proc/meminfo"] = (MEMINFO.encode(), 0o444, "root", "root")
    world.files[CREDENTIALS] = (KEY, 0o600, "root", "root")
    return world


@pytest.mark.parametrize(("make", "host"), [(watchme, "watchme"), (services, "services")])
def test_published_metrics_match_the_alarms_of_the_host(make, host):
    world = make()
    asked = listening(world)
    assert "CloudWatch" not in "".join(run.run(world, False)["left"])
    ((url, fields),) = asked
    assert url == "https://monitoring.ap-northeast-1.amazonaws.com/"
    assert (fields["Action"], fields["Version"]) == ("PutMetricData", "2010-08-01")
    own = [alarm for alarm in alarms(whole(), host) if alarm.dimensions]
    assert set(values_of(fields)) == {(a.namespace, a.metric, json.dumps(a.dimensions)) for a in own} and len(own) == 4


def values(world: FakeWorld) -> dict[str, float]:
    look = HostFacts(world, current(world))
    return metrics.worst(look.manifest, evaluate(look))


def test_the_worst_of_all_subjects_is_published_in_the_conditions_own_unit():
    world = services()
    world.files["/proc/mounts"] = (b"/dev/sdb1 /srv/data ext4 rw 0 0\n", 0o444, "root", "root")
    full, well = Usage(2, 100 * GiB, 6 * GiB, 10, 9), Usage(1, 100 * GiB, 60 * GiB, 10, 9)
    world.usage = lambda path: full if path == "/srv/data" else well  # type: ignore[method-assign]
    world.certificates = {"example.com": (world.time + 12.5 * 86400, "")}
    assert values(world) == {"ServerErrors": 0.0, "CertificateDaysOver": -12, "MemoryUsed": 50.0, "DiskUsed": 94.0}


def test_failed_measurements_are_not_published():
    """Silence is an alarm; a value that was not measured is not."""
    world = watchme()

    def broken(path):
        raise OSError(5, "Input/output error")

    world.usage = broken  # type: ignore[method-assign]
    assert set(values(world)) == {"ServerErrors", "CertificateDaysOver", "MemoryUsed"}
    found = [ConditionResult("disk", "/", 50.0, False, ""), ConditionResult("disk", UNSEEN, 0, True, "")]
    assert metrics.worst({"alerts": [{"alert": "disk", "metric": "DiskUsed"}]}, found) == {}


def test_an_earlier_release_publishes_nothing():
    manifest = {"alerts": [{"alert": "disk"}], "metrics": {}}
    assert metrics.publish(FakeWorld(), manifest, [ConditionResult("disk", "/", 50.0, False, "")]) == ""


@pytest.mark.parametrize("status", [0, 403, 503])
def test_failed_publishing_is_reported_and_stops_nothing_else(status):
    world = watchme()
    listening(world, status)
    ended = run.run(world, False)
    wrong = f"metrics were not published: {status or 'no answer'} from monitoring.ap-northeast-1.amazonaws.com"
    assert ended["left"] == [wrong] and ended["well"]


def test_missing_identity_is_reported_when_publishing():
    world = watchme()
    del world.files[CREDENTIALS]
    world.fetch = lambda url, *_, **__: (404 if "169.254" in url else 200, b"")  # type: ignore[method-assign]
    ended = run.run(world, False)
    (left,) = ended["left"]
    assert left.startswith("publishing metrics failed: Refused: this host has no AWS credentials") and ended["well"]


def test_metrics_are_published_during_a_release():
    """A long release must not look like a dead host."""
    world = watchme()
    asked = listening(world)
    with lock.lock("apply of release abc", lambda line: None, lock.LOCK):
        run.run(world, False)
    assert len(asked) == 1


def test_after_a_repair_the_state_then_is_published():
    world = watchme()
    asked = listening(world)
    world.active.discard("watchme-ast-api.service")
    assert run.run(world, True)["repairs"] and len(asked) == 1
