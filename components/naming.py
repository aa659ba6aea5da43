"""Names and tags that every component shares."""

import pulumi

from catalogue.stack import Stack

LONGEST = 256  # characters that AWS takes of a tag's value


def tags(stack: Stack, system: str, name: str | None = None) -> dict[str, str]:
    """Tags for project, stack and system; `name` is what the AWS console shows."""
    return {"project": "watchme-infra", "stack": stack.name, "system": system[:LONGEST]} | (
        {"Name": name} if name else {}
    )


def inside(parent: pulumi.Resource, **options: object) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(parent=parent, **options)  # type: ignore[arg-type]
