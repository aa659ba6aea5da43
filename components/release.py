"""A release onto a host: one archive, one remote command, one connection."""

import base64
import json

import pulumi
import pulumi_command as command

from agent import receive_source
from catalogue.stack import Stack
from components.host import Host
from components.naming import inside
from rendering.archive import Release as Built

RUN = "sudo -n python3 -I -c 'import json, sys; payload = json.load(sys.stdin); exec(payload[\"receive\"])'"


class Release(pulumi.ComponentResource):
    """`line` is what the agent said. The files' hashes are inputs of this component, so that a preview names the files
    that will change; the archive and the secrets travel over standard input."""

    line: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        host: Host,
        release: Built,
        secrets: dict[str, dict[str, str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("infra:index:Release", name, {"release": release.id, "files": release.hashes}, opts)
        applied = command.remote.Command(
            f"{name}-apply",
            connection=host.connection,
            create=f"INFRA_RELEASE={release.id[:12]} {RUN}",
            stdin=pulumi.Output.secret(payload(release, secrets)),
            # A new machine starts empty: the same release goes to it again
            triggers=[host.instance_id],
            add_previous_output_in_env=False,
            # stderr is for people; the structured outcome on stdout becomes the output
            logging=command.remote.Logging.STDERR,
            opts=inside(self, depends_on=[host.ready]),
        )
        self.line = applied.stdout.apply(lambda outcome: json.loads(outcome)["line"])
        self.register_outputs({"line": self.line})


def payload(release: Built, secrets: dict[str, dict[str, str]]) -> str:
    """What the agent reads. Deterministic: the same release and secrets are no change for Pulumi."""
    return json.dumps(
        {
            "release": release.id,
            "receive": receive_source(),
            "archive": base64.b64encode(release.archive).decode(),
            "secrets": secrets,
        },
        sort_keys=True,
    )


def secrets_for(stack: Stack, services: set[str]) -> dict[str, dict[str, str]]:
    """The secrets of the host's own services, and no others'."""
    return {service: values for service, values in stack.secrets.items() if service in services}
