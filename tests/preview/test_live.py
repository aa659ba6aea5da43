"""What Pulumi's own preview becomes; no Pulumi here."""

from infra.preview.live import configuration_before, steps

URN = "urn:pulumi:prod::infra::aws:ec2/instance:Instance::watchme-ap-northeast-1-instance"


def entry(op: str, urn: str = URN, old=None, new=None, **more):
    return {
        "op": op, "urn": urn, **({"oldState": {"inputs": old}} if old is not None else {}),
        **({"newState": {"inputs": new}} if new is not None else {}), **more,
    }  # fmt: skip


def test_a_step_is_told_with_what_changes():
    (step,) = steps([entry("update", old={"a": 1}, new={"a": 2}, diffReasons=["a"])])
    assert (step.op, step.changed, step.because) == ("update", ("a",), ())


def test_the_steps_of_a_replacement_are_one():
    several = [
        entry("create-replacement", new={"ami": "b"}, replaceReasons=["subnetId"], detailedDiff={"subnetId": {}}),
        entry("replace", new={"ami": "b"}, replaceReasons=["subnetId"], detailedDiff={"subnetId": {}}),
        entry("delete-replaced", old={"ami": "a"}),
    ]
    (step,) = steps(several)
    assert (step.op, step.because) == ("replace", ("subnetId",)) and step.danger.startswith("its disk is lost")


def test_what_is_no_change_and_what_is_our_own_plumbing_is_left_out():
    quiet = [
        entry("same"),
        entry("read"),
        entry("refresh"),
        entry("update", "urn:pulumi:prod::infra::infra:index:Release::r"),
    ]
    assert list(steps(quiet)) == []


def test_an_attempt_of_a_move_is_the_same_plan_at_any_time():
    def gate(at: str):
        return entry(
            "create", f"urn:pulumi:prod::infra::command:local:Command::gate-ap-northeast-1-{at}-gate", new={"x": at}
        )

    assert list(steps([gate("20261121T200000Z")])) == list(steps([gate("20261122T200000Z")]))


def test_what_it_costs_now_is_by_the_machines_that_are_there():
    after = {
        "region": "ap-northeast-1",
        "standbyRegions": [],
        "hosts": {"watchme": {"instanceType": "t4g.xlarge", "volume": 30}},
    }
    there = {"region": "ap-northeast-1", "standby": ["ap-southeast-2"]}
    old = {"instanceType": "t4g.large", "rootBlockDevice": {"volumeSize": 20}}
    taken = list(steps([entry("update", old=old, new={"instanceType": "t4g.xlarge"})]))
    before = configuration_before(after, there, taken)
    assert before["hosts"]["watchme"] == {"instanceType": "t4g.large", "volume": 20}
    assert before["standbyRegions"] == ["ap-southeast-2"] and after["hosts"]["watchme"]["volume"] == 30
