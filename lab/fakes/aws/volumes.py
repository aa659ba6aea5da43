"""EC2: further disks, and which machine has them."""

import hashlib
import time
from typing import Any

from botocore.exceptions import ClientError

from lab.fakes.aws.cloud import is_gone, refusals
from lab.fakes.aws.ec2 import Calls, arn, simple, tag_specifications
from lab.fakes.plugin import Call, Kind, PluginError, Values

FIXED = ("encrypted", "availabilityZone")


def _create(call: Call, ec2: Any, values: Values) -> tuple[str, Values]:
    id = ec2.create_volume(
        AvailabilityZone=values["availabilityZone"], Size=values["size"], VolumeType=values.get("type", "gp2"),
        Encrypted=bool(values.get("encrypted")), **tag_specifications("volume", values),
    )["VolumeId"]  # fmt: skip
    ec2.get_waiter("volume_available").wait(VolumeIds=[id], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return id, {"arn": arn(call, "volume", id)}


def _change(ec2: Any, id: str, new: Values) -> None:
    volume = ec2.describe_volumes(VolumeIds=[id])["Volumes"][0]
    if new["size"] < volume["Size"]:
        # As AWS says it; the emulator makes it smaller
        raise PluginError(
            f"modifying EBS Volume ({id}): InvalidParameterValue: New size cannot be smaller than existing size"
        )
    if (volume["Size"], volume["VolumeType"]) != (new["size"], new.get("type", "gp2")):
        ec2.modify_volume(VolumeId=id, Size=new["size"], VolumeType=new.get("type", "gp2"))


def _read(ec2: Any, id: str, entry: Values) -> Values:
    return {
        "size": entry["Size"], "type": entry["VolumeType"], "encrypted": entry["Encrypted"],
        "availabilityZone": entry["AvailabilityZone"],
    }  # fmt: skip


def _delete(ec2: Any, id: str, state: Values) -> None:
    if ec2.describe_volumes(VolumeIds=[id])["Volumes"][0]["Attachments"]:
        # As AWS says it
        raise PluginError(f"deleting EBS Volume ({id}): VolumeInUse: Volume {id} is currently attached")
    ec2.delete_volume(VolumeId=id)


def _attachment(ec2: Any, state: Values) -> Values | None:
    """The attachment of a volume to the machine of a state, where it is there."""
    volumes = ec2.describe_volumes(VolumeIds=[state["volumeId"]])["Volumes"]
    attached = [entry for volume in volumes for entry in volume["Attachments"]]
    return next((entry for entry in attached if entry["InstanceId"] == state["instanceId"]), None)


def _attach(call: Call, values: Values) -> tuple[str, Values]:
    ec2, volume = call.cloud.client("ec2"), values["volumeId"]
    with refusals(f"attaching EBS Volume ({volume}) to EC2 Instance ({values['instanceId']})"):
        if not _attachment(ec2, values):
            if attachments := ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Attachments"]:
                # As AWS says it; the emulator attaches it twice
                instance = attachments[0]["InstanceId"]
                raise PluginError(f"attaching EBS Volume ({volume}): VolumeInUse: {instance} has it")
            ec2.attach_volume(VolumeId=volume, InstanceId=values["instanceId"], Device=values["deviceName"])
    text = f"{values['deviceName']}-{values['instanceId']}-{volume}-"
    return f"vai-{int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)}", {}


def _detach(call: Call, id: str, state: Values) -> None:
    if state.get("skipDestroy"):
        return
    ec2 = call.cloud.client("ec2")
    with refusals(f"detaching EBS Volume ({state['volumeId']})"):
        if _attachment(ec2, state):
            ec2.detach_volume(VolumeId=state["volumeId"], InstanceId=state["instanceId"], Device=state["deviceName"])
            for _ in range(60):
                if not _attachment(ec2, state):
                    return
                time.sleep(1)


def _refresh(call: Call, id: str, state: Values) -> Values | None:
    try:
        attached = _attachment(call.cloud.client("ec2"), state)
    except ClientError as error:
        if is_gone(error):
            return None
        raise
    return {"deviceName": attached["Device"]} if attached else None


KINDS = {
    "aws:ebs/volume:Volume": simple(
        "volume", {**dict.fromkeys(FIXED, "replace"), "size": "update", "type": "update"}, {"availabilityZone"},
        ["arn"],
        Calls(
            _create, _delete, lambda ec2, id: ec2.describe_volumes(VolumeIds=[id])["Volumes"], _read, _change,
        ),
    ),
    "aws:ec2/volumeAttachment:VolumeAttachment": Kind(
        {
            "deviceName": "replace", "instanceId": "replace", "volumeId": "replace", "skipDestroy": "update",
            "forceDetach": "update", "stopInstanceBeforeDetaching": "update",
        },
        {"deviceName", "instanceId", "volumeId"}, [], _attach, lambda call, id, old, new: {}, _detach, _refresh,
    ),
}  # fmt: skip
