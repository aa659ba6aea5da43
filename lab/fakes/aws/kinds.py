"""Every kind of resource that the stand-in knows."""

from lab.fakes.aws import alarms, buckets, ec2, identity, instances, services, volumes

KINDS = {
    **ec2.KINDS, **instances.KINDS, **volumes.KINDS, **identity.KINDS, **services.KINDS, **alarms.KINDS,
    **buckets.KINDS,
}  # fmt: skip
