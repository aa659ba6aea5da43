"""The pack as Pulumi's engine runs it: a process of its own environment, asked over gRPC."""

import fcntl
import json
import subprocess

import grpc
import pytest
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from lab import tools
from lab.settings import CACHE
from policy.rules import RULES
from tests.support import ROOT, started

# A clean machine makes the pack's environment first
pytestmark = pytest.mark.timeout(600)
URN = "urn:pulumi:prod::infra::aws:ec2/instance:Instance::machine"
MACHINE = {
    "instanceType": "t4g.large", "metadataOptions": {"httpTokens": "optional"}, "disableApiTermination": True,
    "rootBlockDevice": {"encrypted": True, "volumeSize": 30}, "tags": {"project": "i", "stack": "prod", "system": "w"},
}  # fmt: skip


@pytest.fixture(scope="module")
def pack():
    """Its environment is made once, as requirements.txt says."""
    folder = CACHE / "policy-pack"
    python = folder / "bin/python"
    wanted = (ROOT / "policy/requirements.txt").read_text()
    mark = folder / "requirements"
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "policy-pack.lock", "w") as lock:
        # Test processes side by side must not make it at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not mark.exists() or mark.read_text() != wanted:
            tools.environment(folder, "-r", str(ROOT / "policy/requirements.txt"))
            mark.write_text(wanted)
    with started(
        python, "-u", ROOT / "policy", "127.0.0.1:1", timeout=600, stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout
        port = process.stdout.readline().strip()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield analyzer_pb2_grpc.AnalyzerStub(channel)


def analysed(pack, **changes):
    properties = json_format.Parse(json.dumps(MACHINE | changes), struct_pb2.Struct())
    resource = analyzer_pb2.AnalyzerResource(
        type="aws:ec2/instance:Instance", properties=properties, urn=URN, name="machine",
        options=analyzer_pb2.AnalyzerResourceOptions(), provider=analyzer_pb2.AnalyzerProviderResource(),
    )  # fmt: skip
    answer = pack.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=[resource]), timeout=60)
    return {(found.policyName, found.message.split(": ", 1)[1]) for found in answer.diagnostics}


def test_pack_has_every_rule_as_mandatory(pack):
    info = pack.GetAnalyzerInfo(empty_pb2.Empty(), timeout=60)
    assert {policy.name for policy in info.policies} == {rule.__name__.replace("_", "-") for rule in RULES}
    assert {policy.enforcementLevel for policy in info.policies} == {analyzer_pb2.MANDATORY}


def test_pack_has_the_findings_of_the_preview(pack):
    assert ("imdsv1", "imdsv1: machine: the metadata service answers without a token; httpTokens: required") in {
        (name, said.split("\n")[0]) for name, said in analysed(pack)
    }
    assert analysed(pack, metadataOptions={"httpTokens": "required"}) == set()


def test_values_unknown_before_the_update_are_no_finding(pack):
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    assert analysed(pack, metadataOptions={"httpTokens": "required"}, subnetId=unknown, userData=unknown) == set()
