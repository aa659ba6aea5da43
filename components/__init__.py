"""What Pulumi creates, one file per piece."""

from components import sdk

sdk.install()
