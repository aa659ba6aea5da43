"""The recorder of a program under mocks: what it answers, and what it does not keep."""

from typing import Any

from pulumi.runtime import rpc
from pulumi.runtime.proto.resource_pb2 import RegisterResourceRequest, ResourceInvokeRequest

from infra.preview import marks, mocks, recording

SECRET: dict[str, Any] = {marks.SECRET: marks.SECRET_VALUE, "value": "a whole release"}


def request(type: str, **inputs: Any) -> RegisterResourceRequest:
    registration = RegisterResourceRequest(type=type, name="one", custom=True)
    registration.object.update(inputs)
    return registration


def test_release_is_recorded_by_its_mark_and_not_answered():
    recorder = recording.Recorder(mocks.KnownFacts({}, {}))
    answer = recorder.RegisterResource(request("command:local:Command", stdin=SECRET, create="run"))
    outputs = rpc.deserialize_properties(answer.object)
    assert (outputs["stdin"], outputs["create"]) == ("", "run")
    assert recorder.records[0]["inputs"] == {"stdin": marks.mark('"a whole release"'), "create": "run"}
    assert recorder.resources == {}


def test_inputs_are_outputs_and_win_over_what_is_made_up():
    recorder = recording.Recorder(mocks.KnownFacts({}, {}))
    answer = recorder.RegisterResource(request("aws:ec2/eip:Eip", arn="own", tags={"a": ["b", 1]}))
    outputs = rpc.deserialize_properties(answer.object)
    assert (answer.id, outputs["arn"], outputs["tags"]) == ("one-id", "own", {"a": ["b", 1]})
    assert outputs["publicIp"] == mocks.address("one")


def test_function_of_a_provider_is_answered_from_what_is_known():
    recorder = recording.Recorder(mocks.KnownFacts({"shop": {":latest": "sha256:1"}}, {}))
    call = ResourceInvokeRequest(tok="aws:ecr/getImages:getImages")
    call.args.update({"repositoryName": "shop"})
    answer = rpc.deserialize_properties(getattr(recorder.Invoke(call), "return"))
    assert answer["imageIds"] == [{"imageTag": "latest", "imageDigest": "sha256:1"}]
