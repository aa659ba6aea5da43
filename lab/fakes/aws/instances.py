"""EC2: instances."""

import time
from typing import Any

from botocore.exceptions import ClientError

from lab.fakes.aws.cloud import is_gone, refusals, tag_list, tags_of
from lab.fakes.aws.ec2 import arn, tag_specifications, update_tags
from lab.fakes.plugin import Call, Kind, PluginError, Values


def _launch(call: Call, values: Values) -> tuple[str, Values]:
    ec2 = call.cloud.client("ec2")
    root, metadata = values.get("rootBlockDevice", {}), values.get("metadataOptions", {})
    _demand_known("rootBlockDevice", root, {"volumeType", "volumeSize", "encrypted", "tags"})
    _demand_known("metadataOptions", metadata, {"httpEndpoint", "httpTokens", "httpPutResponseHopLimit"})
    with refusals("launching instance"):
        image = ec2.describe_images(ImageIds=[values["ami"]])["Images"][0]
        answer = ec2.run_instances(
            ImageId=values["ami"],
            InstanceType=values["instanceType"],
            MinCount=1,
            MaxCount=1,
            SubnetId=values["subnetId"],
            SecurityGroupIds=values["vpcSecurityGroupIds"],
            IamInstanceProfile={"Name": values["iamInstanceProfile"]} if "iamInstanceProfile" in values else {},
            UserData=values.get("userData", ""),
            MetadataOptions=_metadata(values),
            BlockDeviceMappings=[
                {
                    "DeviceName": image["RootDeviceName"],
                    "Ebs": {
                        "VolumeType": root.get("volumeType", "gp3"),
                        "VolumeSize": root.get("volumeSize", 8),
                        "Encrypted": root.get("encrypted", False),
                        "DeleteOnTermination": True,
                    },
                }
            ],
            **tag_specifications("instance", values),
        )
    id = answer["Instances"][0]["InstanceId"]
    for _ in range(600):
        instance = _instance(call, id)
        if instance and instance["State"]["Name"] == "running":
            if values.get("disableApiTermination"):
                # moto passes over it at the launch
                _protect(ec2, id, True)
            if root.get("tags"):
                ec2.create_tags(Resources=[_root_volume(ec2, id)], Tags=tag_list(root["tags"]))
            return id, _instance_outputs(call, instance)
        if not instance or instance["State"]["Name"] in ("terminated", "shutting-down"):
            reason = (instance or {}).get("StateReason", {}).get("Message", "no reason given")
            raise PluginError(f"waiting for EC2 Instance ({id}) create: unexpected state 'terminated': {reason}")
        time.sleep(0.1)
    raise PluginError(f"waiting for EC2 Instance ({id}) create: timeout while waiting for state to become 'running'")


def _wait(ec2: Any, state: str, id: str) -> None:
    ec2.get_waiter(state).wait(InstanceIds=[id], WaiterConfig={"Delay": 1, "MaxAttempts": 600})


def _demand_known(what: str, values: Values, names: set[str]) -> None:
    if unknown := set(values) - names:
        raise PluginError(f"the stand-in does not know {what} {sorted(unknown)}")


def _instance(call: Call, id: str) -> dict[str, Any] | None:
    try:
        reservations = call.cloud.client("ec2").describe_instances(InstanceIds=[id])["Reservations"]
    except ClientError as error:
        if is_gone(error):
            return None
        raise
    return reservations[0]["Instances"][0] if reservations else None


def _instance_outputs(call: Call, instance: dict[str, Any]) -> Values:
    return {
        "arn": arn(call, "instance", instance["InstanceId"]),
        "instanceState": instance["State"]["Name"],
        "publicIp": instance.get("PublicIpAddress", ""),
        "privateIp": instance.get("PrivateIpAddress", ""),
    }


def _change_instance(call: Call, id: str, old: Values, new: Values) -> Values:
    ec2 = call.cloud.client("ec2")
    update_tags(call, id, old, new)
    with refusals(f"changing instance {id}"):
        if old["instanceType"] != new["instanceType"]:
            ec2.stop_instances(InstanceIds=[id])
            _wait(ec2, "instance_stopped", id)
            ec2.modify_instance_attribute(InstanceId=id, InstanceType={"Value": new["instanceType"]})
            ec2.start_instances(InstanceIds=[id])
            _wait(ec2, "instance_running", id)
        if bool(old.get("disableApiTermination")) != bool(new.get("disableApiTermination")):
            _protect(ec2, id, bool(new.get("disableApiTermination")))
        if old["vpcSecurityGroupIds"] != new["vpcSecurityGroupIds"]:
            ec2.modify_instance_attribute(InstanceId=id, Groups=new["vpcSecurityGroupIds"])
        if old.get("metadataOptions") != new.get("metadataOptions"):
            ec2.modify_instance_metadata_options(InstanceId=id, **_metadata(new))
        if old.get("iamInstanceProfile") != new.get("iamInstanceProfile"):
            _change_profile(ec2, id, new["iamInstanceProfile"])
        if old.get("rootBlockDevice") != new.get("rootBlockDevice"):
            _change_root(ec2, id, old.get("rootBlockDevice", {}), new["rootBlockDevice"])
    return _instance_outputs(call, _instance(call, id) or {})


def _metadata(values: Values) -> dict[str, Any]:
    options = values.get("metadataOptions", {})
    return {
        "HttpEndpoint": options.get("httpEndpoint", "enabled"),
        "HttpTokens": options.get("httpTokens", "optional"),
        "HttpPutResponseHopLimit": options.get("httpPutResponseHopLimit", 1),
    }


def _change_profile(ec2: Any, id: str, name: str) -> None:
    filters = [{"Name": "instance-id", "Values": [id]}]
    associations = ec2.describe_iam_instance_profile_associations(Filters=filters)["IamInstanceProfileAssociations"]
    if associations:
        association = associations[0]["AssociationId"]
        ec2.replace_iam_instance_profile_association(AssociationId=association, IamInstanceProfile={"Name": name})
    else:
        ec2.associate_iam_instance_profile(InstanceId=id, IamInstanceProfile={"Name": name})


def _change_root(ec2: Any, id: str, old: Values, new: Values) -> None:
    if fixed := [key for key in ("encrypted",) if old.get(key) != new.get(key)]:
        raise PluginError(f"the stand-in cannot change rootBlockDevice.{fixed[0]} in place")
    volume = _root_volume(ec2, id)
    if (old.get("volumeSize"), old.get("volumeType")) != (new.get("volumeSize"), new.get("volumeType")):
        ec2.modify_volume(VolumeId=volume, Size=new["volumeSize"], VolumeType=new["volumeType"])
    if new.get("tags"):
        ec2.create_tags(Resources=[volume], Tags=tag_list(new["tags"]))


def _root_volume(ec2: Any, id: str) -> str:
    mappings = ec2.describe_instances(InstanceIds=[id])["Reservations"][0]["Instances"][0]["BlockDeviceMappings"]
    return mappings[0]["Ebs"]["VolumeId"]


def _protect(ec2: Any, id: str, protected: bool) -> None:
    ec2.modify_instance_attribute(InstanceId=id, DisableApiTermination={"Value": protected})


def _terminate(call: Call, id: str, state: Values) -> None:
    ec2 = call.cloud.client("ec2")
    try:
        # Without forceDestroy in its state AWS refuses, as it does with the real plugin
        if state.get("disableApiTermination") and state.get("forceDestroy"):
            _protect(ec2, id, False)
        ec2.terminate_instances(InstanceIds=[id])
        _wait(ec2, "instance_terminated", id)
    except ClientError as error:
        if not is_gone(error):
            with refusals(f"terminating instance {id}"):
                raise


def _read_instance(call: Call, id: str, state: Values) -> Values | None:
    """Its outputs, and what it has of the inputs that it was made with."""
    instance = _instance(call, id)
    if not instance or instance["State"]["Name"] == "terminated":
        return None
    ec2 = call.cloud.client("ec2")
    groups, before = [group["GroupId"] for group in instance["SecurityGroups"]], state.get("vpcSecurityGroupIds", [])
    volume = ec2.describe_volumes(VolumeIds=[_root_volume(ec2, id)])["Volumes"][0]
    protected = ec2.describe_instance_attribute(InstanceId=id, Attribute="disableApiTermination")
    profile = instance.get("IamInstanceProfile", {}).get("Arn", "").rsplit("/", 1)[-1]
    root = {"volumeSize": volume["Size"], "volumeType": volume["VolumeType"], "tags": tags_of(volume)}
    outputs = {
        "instanceType": instance["InstanceType"], "iamInstanceProfile": profile, "tags": tags_of(instance),
        "disableApiTermination": protected["DisableApiTermination"]["Value"],
        # Of a set the order says nothing
        "vpcSecurityGroupIds": before if set(groups) == set(before) else groups,
        "rootBlockDevice": {key: root.get(key, value) for key, value in state.get("rootBlockDevice", {}).items()},
    }  # fmt: skip
    return {**{key: value for key, value in outputs.items() if key in state}, **_instance_outputs(call, instance)}


INSTANCE_INPUTS = {
    "ami": "replace",
    "instanceType": "update",
    "subnetId": "replace",
    "vpcSecurityGroupIds": "update",
    "associatePublicIpAddress": "replace",
    "disableApiTermination": "update",
    "forceDestroy": "update",
    "iamInstanceProfile": "update",
    "metadataOptions": "update",
    "rootBlockDevice": "update",
    "userData": "refuse",
    "tags": "update",
}

KINDS = {
    "aws:ec2/instance:Instance": Kind(
        INSTANCE_INPUTS,
        {"ami", "instanceType", "subnetId"},
        ["arn", "instanceState", "publicIp", "privateIp"],
        _launch,
        _change_instance,
        _terminate,
        _read_instance,
    ),
}
