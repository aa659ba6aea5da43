"""A host in memory with Recall API, whose environment is an artefact."""

from dataclasses import replace
from functools import cache

from rendering.archive import build
from rendering.host import render
from tests.agent.fake import INSTALLED
from tests.agent.parcels import ParcelWorld
from tests.support import changed, service, whole

INTO = "/srv/recall/venv"
UNIT = "recall-api.service"
FILES = {"bin/gunicorn": "#!/bin/sh\n", "lib/x.py": "text"}


def host() -> ParcelWorld:
    return ParcelWorld(
        active=set(),
        enabled=set(),
        there={"/srv/recall/backend/app.py", "/bin/sh", "/bin/bash"},
        installed={*INSTALLED},
    )


@cache
def release(reference: str | None, subpath: str | None = None, has: bool = True):
    """A release of Recall API's host, whose environment is this artefact, or with `has` false its owner's affair."""

    def change(data):
        one = {"repository": "recall", "tag": "1", "into": INTO} | ({"subpath": subpath} if subpath else {})
        service(data, "recall-api")["artefact"] = one if has else []
        # Its site's certificate is nothing of these tests
        data["sites"], service(data, "recall-api")["routes"] = [], []

    def alone(values):
        values["infra:hosts"]["services"].update(systems=["recall"])

    digests = {"recall:1": reference.partition("@")[2]} if reference else {}
    made = render(changed(whole(alone), "recall", change), "services", digests)
    if reference:
        made = replace(made, artefacts=[replace(made.artefacts[0], image=reference)])
    return build(made)


def folder_of(made) -> str:
    return made.manifest["artefacts"][0]["folder"]
