"""What pydantic finds is said in the words of the field: what was found, what is allowed, and in one line a mistake."""

import re

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from catalogue.alerts import AnyAlert
from catalogue.fields import ALLOWED
from catalogue.loading import read_system
from catalogue.models import System
from catalogue.problems import CatalogueError
from catalogue.stack import Stack
from tests.support import ROOT, stack

ALERTS = TypeAdapter(list[AnyAlert])
# The words of pydantic's own
THEIRS = re.compile(
    r"input should|should (be|have|match)|valid (string|integer|number)|value error|unable to", re.IGNORECASE
)
# What can stand at a field of a service, as YAML, and the one line that is said of it
OF_A_SERVICE = {
    "port: 0": "port: 0 is not a port; a port is 1 to 65535",
    "port: 70000": "port: 70000 is not a port; a port is 1 to 65535",
    "port: 80.5": "port: found 80.5; a whole number: 1 to 65535",
    "port: http": "port: found http; a port, in digits: 1 to 65535",
    "replica_ports: [0]": "replica_ports.0: 0 is not a port; a port is 1 to 65535",
    "replicas: 0": "replicas: found 0; a number: 1 to 20",
    "hold: 601": "hold: found 601; a number of seconds: 0 to 600",
    "stop_priority: 0": "stop_priority: found 0; a number: at least 1",
    "cpus: 0": "cpus: found 0; a number of processors: above 0 and at most 1024",
    "cpus: .inf": "cpus: found .inf; a number of processors: above 0 and at most 1024; neither .inf nor .nan is one",
    "gpus: 0": "gpus: found 0; a number: at least 1, or all",
    "gpus: some": "gpus: found some; a number, in digits: at least 1, or all",
    "rollout: bluegreen": "rollout: found 'bluegreen'; did you mean 'blue-green'? One of: recreate or blue-green",
    "single: 1": "single: found 1; write true or false, without quotes",
    "environment: {a-b: x}": "environment: found the name 'a-b'; the name of a variable: letters, digits and _",
    "environment: [a]": "environment: found a list; a mapping, such as environment: {LOG_LEVEL: ",
    "ulimits: {files: 1}": "ulimits: found the name 'files'; did you mean 'nofile'? One of: as, core, cpu,",
    "ulimits: {core: -5}": "ulimits.core: found -5; a whole number of at least 0, or -1 for no limit",
    'publish: ["0"]': "publish.0: found '0'; ports from 1 to 65535",
    'publish: ["70000:1"]': "publish.0: found '70000:1'; ports from 1 to 65535",
    "stop_signal: 9": "stop_signal: found 9; a signal, such as SIGINT",
    "cap_add: [net admin]": "cap_add.0: found 'net admin'; a capability of Linux in capitals, such as NET_ADMIN",
    "user: a b": "user: found 'a b'; a user of the container, or user:group, by name or by number",
    "compose_file: x.yml": "compose_file: found 'x.yml'; a file's name such as docker-compose.prod.yml",
    "name: My App": "name: found 'My App'; a name such as notes-api",
    "stop_grace_period: 30": "stop_grace_period: found 30; a duration such as 30s, 1m30s or 500ms",
    "files: [{path: /a, source: a, mode: 644}]": 'files.0.mode: found 644; write it in quotes: "0644"',
    "files: [{path: /a, source: a, mode: 0644}]": 'files.0.mode: found 0644; write it in quotes: "0644"',
    "files: [{path: /a, source: a, mode: 0o755}]": "files.0.mode: found '0o755'; permissions such as \"0644\"",
    "files: [{path: /a, source: a, mode: 9}]": 'files.0.mode: found 9; permissions such as "0644"',
    "purpose: 5": 'purpose: found 5; write it in quotes: "5"',
    f"release: [{', '.join(['{command: a}'] * 21)}]": "release: found 21 entries; at most 20",
}  # fmt: skip


def of_a_service(folder, line: str) -> list[str]:
    """What is said of service ast-api with a line more, in place of the one of its field."""
    data = yaml.safe_load((ROOT / "files/systems/watchme.yaml").read_text())
    service = next(one for one in data["services"] if one["name"] == "ast-api")
    field = line.partition(":")[0]
    service.pop(field, None)
    rest = yaml.safe_dump({key: value for key, value in data.items() if key != "services"})
    others = yaml.safe_dump({"services": [one for one in data["services"] if one is not service]})
    own = "".join(f"  {text}\n" for text in [*yaml.safe_dump(service).rstrip().split("\n"), line])
    path = folder / "watchme.yaml"
    path.write_text(f"{rest}{others}- {own[2:]}")
    with pytest.raises(CatalogueError) as error:
        read_system(path)
    return [problem.message for problem in error.value.problems]


@pytest.mark.parametrize(("line", "said"), OF_A_SERVICE.items(), ids=[line[:40] for line in OF_A_SERVICE])
def test_invalid_service_field_is_one_line_without_pydantics_words(tmp_path, line, said):
    found = of_a_service(tmp_path, line)
    assert len(found) == 1, found
    assert f": {said}" in found[0] and not THEIRS.search(found[0]), found


def test_a_service_without_a_name_lacks_that_alone(tmp_path):
    data = yaml.safe_load((ROOT / "files/systems/watchme.yaml").read_text())
    del data["services"][0]["name"]
    (tmp_path / "watchme.yaml").write_text(yaml.safe_dump(data))
    with pytest.raises(CatalogueError) as error:
        read_system(tmp_path / "watchme.yaml")
    assert [problem.found for problem in error.value.problems] == ["field 'name' is missing"]


OF_A_STACK = {
    "backupRegion": ("x", "found 'x'; the name of an AWS region, such as ap-northeast-1"),
    "backupBucket": ("X", "found 'X'; the name of an S3 bucket"),
    "budget": (0, "found 0; a number of US dollars a month: above 0 and at most 1000000000"),
    "recordTtl": (0, "found 0; a number of seconds: 1 to 86400"),
    "protected": ("maybe", "found 'maybe'; write true or false"),
    "adminCidrs": ([], "found []; at least one, such as infra:adminCidrs: [203.0.113.10/32]"),
    "alarmEmails": (["a@example.com"] * 11, "found 11 entries; at most 10"),
    "zone": ("a" * 60 + ".example", "found 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa... of 68 characters; a host name of at most 64 characters"),
    "names": ({"a": "a.example.com"}, "found the name 'a'; a host name such as api.example.com"),
    "networks": ({"us-east-1": {"vpc": "x", "subnet": "subnet-1"}}, "found 'x'; the id of a VPC"),
    "availabilityZones": ({"us-east-1": "x"}, "found 'x'; an availability zone, such as us-east-1a"),
    "dns": ({"leaves": "x"}, "found 'x'; route53 or cloudflare"),
    "hosts": ({"box": {"kind": "x", "systems": []}}, "kind 'x'; kinds: ec2, ssh"),
}  # fmt: skip


@pytest.mark.parametrize(("key", "given", "said"), [(key, *row) for key, row in OF_A_STACK.items()], ids=OF_A_STACK)
def test_invalid_stack_key_is_one_line_without_pydantics_words(key, given, said):
    with pytest.raises(CatalogueError) as error:
        stack(lambda values: values.update({f"infra:{key}": given}))
    (found,) = [problem.message for problem in error.value.problems]
    assert f"infra:{key}" in found and said in found and not THEIRS.search(found), found


def schemas(value) -> list[dict]:
    """Every schema of pydantic's in a model's."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else []
    own = [value] if isinstance(value, dict) and isinstance(value.get("type"), str) else []
    return [*own, *(found for one in inner for found in schemas(one))]


def test_every_pattern_has_a_description():
    made = [System.__pydantic_core_schema__, Stack.__pydantic_core_schema__, ALERTS.core_schema]
    patterns = {one["pattern"] for one in schemas(made) if one["type"] == "str" and "pattern" in one}
    assert len(patterns) > 40 and patterns - set(ALLOWED) == set()


def test_every_kind_of_value_that_there_is_has_been_looked_at():
    """A kind of schema that is not here has errors of its own, which catalogue/validation.py has to know."""
    made = [System.__pydantic_core_schema__, Stack.__pydantic_core_schema__, ALERTS.core_schema]
    known = {
        "bool", "dict", "float", "int", "list", "literal", "model", "str", "tagged-union", "union", "is-instance",
        # What only wraps another
        "default", "definition-ref", "definitions", "function-after", "function-before", "function-plain",
        "json-or-python", "lax-or-strict", "model-field", "model-fields", "no-info", "nullable", "model-ser",
        "function-wrap", "to-string", "with-info", "computed-field", "format",
    }  # fmt: skip
    assert {one["type"] for one in schemas(made)} - known == set()


def test_invalid_alert_field_is_one_line_without_pydantics_words():
    from catalogue.validation import Document, problems_of

    given = [
        {"alert": "x", "measure": "disk", "above": "a", "text": ""},
        {"alert": "y", "text": "", "above": 1, "cloud": {"namespace": "x", "metric": "A", "statistic": "Sum", "period": 61, "periods": 1}},
    ]  # fmt: skip
    with pytest.raises(ValidationError) as error:
        ALERTS.validate_python(given)
    found = problems_of(error.value, Document("x", lambda path: ".".join(map(str, path))), ALERTS)
    assert [problem.message for problem in found] == [
        "x: 0.host.above: found 'a'; a number, without quotes",
        "x: 1.cloud.cloud.namespace: found 'x'; a namespace of AWS, such as AWS/EC2",
        "x: 1.cloud.cloud.period: found 61; a number of seconds: a multiple of 60",
    ]
