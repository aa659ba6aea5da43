"""What certbot does to the files of a host in memory."""

from typing import Any

from agent import lineages


def certify(world: Any, name: str, server: str) -> None:
    """What certbot leaves, by its own way of naming: where a renewal file is in the way, another lineage."""
    renewal = f"/etc/letsencrypt/renewal/{name}.conf"
    for file in lineages.OF_ACCOUNT:
        place = f"/etc/letsencrypt/accounts/{server.removeprefix('https://')}/1/{file}"
        world.files[place] = (b"{}", 0o400, "root", "root")
    if renewal in world.files and lineages.fault(world, name):
        name = f"{name}-0001"
    elif renewal not in world.files and any(
        path.startswith(f"/etc/letsencrypt/archive/{name}/") for path in world.files
    ):
        raise AssertionError("certbot: archive directory exists")
    names = [part.removesuffix(".pem") for part in lineages.PARTS]
    number = sum(path.startswith(f"/etc/letsencrypt/archive/{name}/cert") for path in world.files) + 1
    lines = [f"{part} = /etc/letsencrypt/live/{name}/{part}.pem" for part in names]
    lines += ["[renewalparams]", "account = 1", "authenticator = webroot", f"server = {server}"]
    world.files[f"/etc/letsencrypt/renewal/{name}.conf"] = ("\n".join(lines).encode(), 0o644, "root", "root")
    for part in names:
        world.files[f"/etc/letsencrypt/archive/{name}/{part}{number}.pem"] = (part.encode(), 0o600, "root", "root")
        world.links[f"/etc/letsencrypt/live/{name}/{part}.pem"] = f"../../archive/{name}/{part}{number}.pem"
