"""ECR's login, for a host without its credential helper: asked of AWS by the host's own identity."""

import json

from agent import aws
from agent.documents.docker import ClientConfig, Login
from agent.outcome import Refused
from agent.world import World

CONFIG = "/root/.docker/config.json"
TARGET = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"


def log_in(world: World, registries: list[str]) -> None:
    """Writes Docker's configuration with a login for each registry that lasts for 12 hours. Raises Refused."""
    config: ClientConfig = json.loads(world.read(CONFIG) or b"{}")
    config["auths"] = config.get("auths", {}) | auths(world, registries)
    world.write(CONFIG, json.dumps(config, indent=2).encode(), 0o600, "root", "root")


def auths(world: World, registries: list[str]) -> dict[str, Login]:
    """Docker's `auths`, a new token each. Raises Refused."""
    return {registry: {"auth": _token(world, registry)} for registry in registries}


def request(region: str) -> aws.Request:
    """For a login that ECR gives in a region."""
    headers = (("content-type", "application/x-amz-json-1.1"), ("x-amz-target", TARGET))
    return aws.Request("POST", f"api.ecr.{region}.amazonaws.com", region, "ecr", headers=headers, body="{}")


def _token(world: World, registry: str) -> str:
    token_request = request(registry.split(".")[3])
    status, body = aws.ask_as_host(world, token_request)
    if status != 200:
        raise Refused(
            f"AWS refuses this host a login for {registry}: {status or 'no answer'} from {token_request.host}"
        )
    return json.loads(body)["authorizationData"][0]["authorizationToken"]
