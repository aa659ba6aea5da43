"""ECR, Route 53, and the functions that look things up."""

import time
from typing import Any

from botocore.exceptions import ClientError

from lab.fakes.aws.cloud import Cloud, ensure_gone, is_gone, refusals, tag_list
from lab.fakes.plugin import Call, Kind, PluginError, Values


def _repository(call: Call, values: Values) -> tuple[str, Values]:
    encryption = values.get("encryptionConfigurations") or [{"encryptionType": "AES256"}]
    with refusals(f"creating ECR Repository ({values['name']})"):
        repository = call.cloud.client("ecr").create_repository(
            repositoryName=values["name"],
            imageTagMutability=values.get("imageTagMutability", "MUTABLE"),
            imageScanningConfiguration=values.get("imageScanningConfiguration", {"scanOnPush": False}),
            encryptionConfiguration=encryption[0],
            tags=tag_list(values.get("tags")),
        )["repository"]
    return values["name"], {
        "arn": repository["repositoryArn"],
        "repositoryUrl": repository["repositoryUri"],
        "registryId": repository["registryId"],
    }


def _change_repository(call: Call, id: str, old: Values, new: Values) -> Values:
    ecr = call.cloud.client("ecr")
    with refusals(f"changing ECR Repository ({id})"):
        ecr.put_image_tag_mutability(repositoryName=id, imageTagMutability=new.get("imageTagMutability", "MUTABLE"))
        ecr.put_image_scanning_configuration(
            repositoryName=id, imageScanningConfiguration=new.get("imageScanningConfiguration", {"scanOnPush": False})
        )
        ecr.tag_resource(resourceArn=old["arn"], tags=tag_list(new.get("tags")))
    return {}


def _delete_repository(call: Call, id: str, state: Values) -> None:
    remove = call.cloud.client("ecr").delete_repository
    ensure_gone(f"ECR Repository ({id}) delete", remove, repositoryName=id, force=state.get("forceDelete", False))


def _read_repository(call: Call, id: str, state: Values) -> Values | None:
    try:
        repository = call.cloud.client("ecr").describe_repositories(repositoryNames=[id])["repositories"][0]
    except ClientError as error:
        if is_gone(error):
            return None
        raise
    return {
        "arn": repository["repositoryArn"],
        "repositoryUrl": repository["repositoryUri"],
        "registryId": repository["registryId"],
    }


def _lifecycle(call: Call, values: Values) -> tuple[str, Values]:
    with refusals(f"writing lifecycle policy of {values['repository']}"):
        call.cloud.client("ecr").put_lifecycle_policy(
            repositoryName=values["repository"], lifecyclePolicyText=values["policy"]
        )
    return values["repository"], {}


def _delete_lifecycle(call: Call, id: str, state: Values) -> None:
    ensure_gone("deleting lifecycle policy", call.cloud.client("ecr").delete_lifecycle_policy, repositoryName=id)


def _record_set(values: Values) -> dict[str, Any]:
    # The real plugin writes the outer quotes of a text (flattenTxtEntry in its provider)
    quote = '"' if values["type"] == "TXT" else ""
    records = [{"Value": f"{quote}{value}{quote}"} for value in values["records"]]
    return {"Name": values["name"], "Type": values["type"], "TTL": values["ttl"], "ResourceRecords": records}


def _unquote(kind: str, value: str) -> str:
    return value[1:-1] if kind == "TXT" else value


def _existing(call: Call, values: Values) -> dict[str, Any] | None:
    record_sets = call.cloud.client("route53").list_resource_record_sets(
        HostedZoneId=values["zoneId"], StartRecordName=values["name"], StartRecordType=values["type"], MaxItems="1"
    )["ResourceRecordSets"]
    key = (values["name"].rstrip(".") + ".", values["type"])
    return next((record for record in record_sets if (record["Name"], record["Type"]) == key), None)


def _change_record(call: Call, action: str, values: Values) -> None:
    change = {"Action": action, "ResourceRecordSet": _record_set(values)}
    route53 = call.cloud.client("route53")
    with refusals(f"{action} of record {values['name']} {values['type']}"):
        answer = route53.change_resource_record_sets(HostedZoneId=values["zoneId"], ChangeBatch={"Changes": [change]})
        # As the real plugin, until all of Route 53's servers have it
        for _ in range(600):
            if route53.get_change(Id=answer["ChangeInfo"]["Id"])["ChangeInfo"]["Status"] == "INSYNC":
                return
            time.sleep(0.2)
    raise PluginError(f"waiting for record {values['name']}: timeout while waiting for state to become 'INSYNC'")


def _record(call: Call, values: Values) -> tuple[str, Values]:
    if not values.get("allowOverwrite") and _existing(call, values):
        # Route 53 says so itself; the emulator would make a second one
        raise PluginError(
            f"creating Route53 Record: InvalidChangeBatch: [Tried to create resource record set "
            f"[name='{values['name']}.', type='{values['type']}'] but it already exists]"
        )
    _change_record(call, "UPSERT", values)
    return f"{values['zoneId']}_{values['name']}_{values['type']}", {"fqdn": values["name"]}


def _update_record(call: Call, id: str, old: Values, new: Values) -> Values:
    _change_record(call, "UPSERT", new)
    return {}


def _delete_record(call: Call, id: str, state: Values) -> None:
    if _existing(call, state):
        _change_record(call, "DELETE", state)


def _read_record(call: Call, id: str, state: Values) -> Values | None:
    record_set = _existing(call, state)
    if record_set is None:
        return None
    return {
        "ttl": record_set["TTL"],
        "records": [_unquote(state["type"], record["Value"]) for record in record_set["ResourceRecords"]],
        "fqdn": state["name"],
    }


def parameter(cloud: Cloud, values: Values) -> Values:
    with refusals(f"reading SSM Parameter ({values['name']})"):
        entry = cloud.at(values).client("ssm").get_parameter(Name=values["name"])["Parameter"]
    return {
        "id": values["name"], "name": values["name"], "arn": entry["ARN"], "type": entry["Type"],
        "value": entry["Value"], "insecureValue": entry["Value"], "version": entry["Version"], "region": cloud.region,
    }  # fmt: skip


def zone(cloud: Cloud, values: Values) -> Values:
    with refusals(f"reading Route 53 Hosted Zone ({values['name']})"):
        zones = cloud.client("route53").list_hosted_zones()["HostedZones"]
    matching = [entry for entry in zones if entry["Name"].rstrip(".") == values["name"].rstrip(".")]
    if not matching:
        raise PluginError(f"no matching Route 53 Hosted Zone found: {values['name']}")
    id = matching[0]["Id"].removeprefix("/hostedzone/")
    return {
        "id": id,
        "zoneId": id,
        "name": values["name"],
        "arn": f"arn:aws:route53:::hostedzone/{id}",
        "privateZone": False,
    }


def images(cloud: Cloud, values: Values) -> Values:
    name = values["repositoryName"]
    with refusals(f"reading ECR Images ({name})"):
        pages = cloud.at(values).client("ecr").get_paginator("list_images").paginate(repositoryName=name)
        entries = [entry for page in pages for entry in page["imageIds"]]
    ids = [{"imageDigest": entry["imageDigest"], "imageTag": entry.get("imageTag", "")} for entry in entries]
    return {"id": name, "repositoryName": name, "imageIds": ids, "region": cloud.region}


def offerings(cloud: Cloud, values: Values) -> Values:
    filters = [{"Name": entry["name"], "Values": entry["values"]} for entry in values.get("filters", [])]
    kind = values.get("locationType", "region")
    with refusals("reading EC2 Instance Type Offerings"):
        asking = cloud.at(values).client("ec2").get_paginator("describe_instance_type_offerings")
        pages = asking.paginate(Filters=filters, LocationType=kind)
        entries = [entry for page in pages for entry in page["InstanceTypeOfferings"]]
    names, places = [entry["InstanceType"] for entry in entries], [entry["Location"] for entry in entries]
    return {
        "id": values.get("region", cloud.region), "instanceTypes": names, "locations": places,
        "locationTypes": [kind] * len(entries), "region": values.get("region", cloud.region),
    }  # fmt: skip


def subnet(cloud: Cloud, values: Values) -> Values:
    with refusals(f"reading EC2 Subnet ({values['id']})"):
        details = cloud.at(values).client("ec2").describe_subnets(SubnetIds=[values["id"]])["Subnets"][0]
    return {"id": values["id"], "vpcId": details["VpcId"], "availabilityZone": details["AvailabilityZone"]}


def instances(cloud: Cloud, values: Values) -> Values:
    filters = [{"Name": item["name"], "Values": item["values"]} for item in values.get("filters", [])]
    filters.append({"Name": "instance-state-name", "Values": values.get("instanceStateNames") or ["running"]})
    region = values.get("region", cloud.region)
    with refusals("reading EC2 Instances"):
        pages = cloud.at(values).client("ec2").get_paginator("describe_instances").paginate(Filters=filters)
        matching = [
            entry for page in pages for reservation in page["Reservations"] for entry in reservation["Instances"]
        ]
    return {"id": region, "ids": [entry["InstanceId"] for entry in matching], "region": region}


INVOKES = {
    "aws:ec2/getInstances:getInstances": instances,
    "aws:ec2/getSubnet:getSubnet": subnet,
    "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": offerings,
    "aws:ssm/getParameter:getParameter": parameter,
    "aws:route53/getZone:getZone": zone,
    "aws:ecr/getImages:getImages": images,
}

KINDS = {
    "aws:ecr/repository:Repository": Kind(
        {"name": "replace", "imageScanningConfiguration": "update", "encryptionConfigurations": "replace",
         "imageTagMutability": "update", "forceDelete": "update", "tags": "update"},
        {"name"}, ["arn", "repositoryUrl", "registryId"], _repository, _change_repository, _delete_repository,
        _read_repository,
    ),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": Kind(
        {"repository": "replace", "policy": "update"}, {"repository", "policy"}, [], _lifecycle,
        update=lambda call, id, old, new: _lifecycle(call, new)[1], delete=_delete_lifecycle,
    ),
    "aws:route53/record:Record": Kind(
        {"zoneId": "replace", "name": "replace", "type": "replace", "ttl": "update", "records": "update",
         "allowOverwrite": "update"},
        {"zoneId", "name", "type"}, ["fqdn"], _record, _update_record, _delete_record, _read_record,
    ),
}  # fmt: skip
