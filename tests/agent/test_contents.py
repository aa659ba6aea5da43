"""What a host says of its files, and what it never says."""

from agent.contents import contents
from tests.agent.fake import FakeWorld
from tests.agent.releases import AVATAR, SITE, applied, release, serving, world_for
from tests.support import service

ENVIRONMENT = "/home/ubuntu/watchme-docker/web.env"


def test_contents_are_empty_without_a_release():
    assert contents(FakeWorld()) == {"release": None}


def test_contents_are_the_files_of_the_host():
    made = release()
    world = serving(made)
    content, *rest = world.files[AVATAR]
    world.files[AVATAR] = (content + b"# by hand\n", *rest)
    del world.files[SITE]
    before = world.changes
    found = contents(world)
    assert found["release"] == made.id and found["manifest"]["host"] == "watchme"
    assert found["files"][AVATAR].endswith("# by hand\n") and SITE not in found["files"]
    assert found["files"]["/etc/nginx/sites-enabled/api.hey-watch.me"] == f"-> {SITE}\n"
    assert world.changes == before


def test_contents_show_versions_of_secrets_only():
    made = release(lambda data: service(data, "web").update(environment={"MODE": "prod"}, secrets=["TOKEN"]))
    world = world_for(made)
    assert applied(world, made, {"web": {"TOKEN": "hunter2"}}).outcome == "applied"
    assert contents(world)["files"][ENVIRONMENT] == "MODE=prod\nTOKEN=[secret not set]\n"
    content, *rest = world.files[ENVIRONMENT]
    world.files[ENVIRONMENT] = (content.replace(b"hunter2", b"hunter3").replace(b"prod", b"dev"), *rest)
    assert contents(world)["files"][ENVIRONMENT] == "MODE=dev\nTOKEN=[another value, not shown]\n"
