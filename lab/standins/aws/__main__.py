"""`pulumi-resource-aws`."""

from lab.standins.aws import imports, services
from lab.standins.aws.cloud import connect
from lab.standins.aws.kinds import KINDS
from lab.standins.plugin import Plugin, serve

for name, found in imports.FOUND.items():
    KINDS[name].found = found
serve(Plugin(KINDS, connect, services.INVOKES), "7.51.1")
