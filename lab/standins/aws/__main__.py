"""`pulumi-resource-aws`."""

from lab.standins.aws import alarms, ec2, imports, instances, services
from lab.standins.aws.cloud import connect
from lab.standins.plugin import Plugin, serve

kinds = {**ec2.KINDS, **instances.KINDS, **services.KINDS, **alarms.KINDS}
for name, found in imports.FOUND.items():
    kinds[name].found = found
serve(Plugin(kinds, connect, services.INVOKES), "7.51.1")
