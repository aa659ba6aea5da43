"""The page of a host in memory."""

import json
from email.utils import formatdate

from agent.monitor import page, run
from tests.agent.conditions import watchme


def written(change=lambda world: None, runs: int = 1):
    world = watchme()
    change(world)
    for _ in range(runs):
        run.run(world, False)
        world.time += 300
        world.date = formatdate(world.time, usegmt=True)
    return (
        world,
        json.loads(world.files[f"{page.PLACE}/status.json"][0]),
        world.files[f"{page.PLACE}/index.html"][0].decode(),
    )
