"""Where the project and a stack's configuration are."""

import os
from pathlib import Path

from infra.errors import InfraError


def project_root() -> Path:
    """The nearest directory, from here up, with a Pulumi.yaml. Raises InfraError."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "Pulumi.yaml").exists():
            return folder
    raise InfraError(f"no Pulumi.yaml in {here} or above: run this inside the project")


def config_file(stack: str) -> Path | None:
    """The file that Pulumi itself is to use for this stack, if any."""
    configured = os.environ.get("PULUMI_OPTION_CONFIG_FILE")
    return Path(configured) if configured and Path(configured).name == f"Pulumi.{stack}.yaml" else None
