"""`pulumi-resource-aws`."""

from lab.fakes.aws import imports, services
from lab.fakes.aws.cloud import connect
from lab.fakes.aws.kinds import KINDS
from lab.fakes.plugin import Plugin, serve

for name, importer in imports.FOUND.items():
    KINDS[name].importer = importer
serve(Plugin(KINDS, connect, services.INVOKES), "7.51.1")
