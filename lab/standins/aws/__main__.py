"""`pulumi-resource-aws`."""

from lab.standins.aws import ec2, services
from lab.standins.aws.cloud import connect
from lab.standins.plugin import Plugin, serve

serve(Plugin({**ec2.KINDS, **services.KINDS}, connect, services.INVOKES), "7.51.1")
