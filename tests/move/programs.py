"""Programs that stand in for Pulumi."""

import os


def pulumi_that(folder, script: str) -> dict[str, str]:
    """An environment with a pulumi that does this."""
    (folder / "Pulumi.yaml").touch()
    program = folder / "pulumi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "LOG": str(folder / "log")}
