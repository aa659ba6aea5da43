"""An update for some services alone is refused where a release has more than their images, or values of secrets."""

import pulumi
import pytest

from components.alone import refuse_more, with_versions
from components.before import LastRelease, read
from rendering.archive import build
from rendering.host import render
from tests.support import catalogue, digests, service

BEFORE = build(render(catalogue(), "watchme", digests()))
AFTER = build(render(catalogue(), "watchme", digests(version=2)))


def test_release_that_differs_only_in_images_is_delivered():
    assert refuse_more("watchme", "images of admin", BEFORE, AFTER, LastRelease(BEFORE.id, BEFORE.hashes)) is AFTER


def test_other_pending_changes_refuse_a_deploy():
    edited = build(
        render(catalogue(lambda data: service(data, "web")["memory"].update(limit="99m")), "watchme", digests())
    )
    with pytest.raises(pulumi.RunError) as error:
        refuse_more("watchme", "images of admin", edited, AFTER, LastRelease(BEFORE.id, BEFORE.hashes))
    line = str(error.value)
    assert (
        line.startswith("nothing was touched: watchme has more to release than images of admin: /")
        and "watchme-docker" in line
    )
    assert "Run pulumi up for all of it" in line


@pytest.mark.parametrize(
    "served", [LastRelease("other", BEFORE.hashes), LastRelease()], ids=["what no file shows", "no record"]
)
def test_changes_without_a_file_refuse_a_deploy(served):
    with pytest.raises(pulumi.RunError, match="images of admin: settings that are in no file"):
        refuse_more("watchme", "images of admin", BEFORE, AFTER, served)


def with_token(value, limit="100m"):
    def change(data):
        service(data, "web").update(secrets=["TOKEN", "OTHER"])
        service(data, "web")["memory"].update(limit=limit)

    values = {"web": {"TOKEN": value, "OTHER": "x"}}
    made = catalogue(change, lambda config: config.update({"infra:secrets": values, "infra:sshPrivateKey": "k"}))
    return render(made, "watchme", digests())


def test_changed_secret_is_delivered_with_the_serving_digests():
    old, new = with_token("old"), with_token("new")
    served = LastRelease(build(old).id, build(old).hashes)
    (version,) = {item.versions["web/TOKEN"] for item in old.environment_files if "web/TOKEN" in item.versions}
    before = build(with_versions(new, {"web/TOKEN": version, "admin/NONE": "x"}))
    assert before.id == served.id and build(new).id != served.id
    assert refuse_more("watchme", "secrets of web", before, build(new), served).id == build(new).id
    more = build(with_versions(with_token("new", "99m"), {"web/TOKEN": version}))
    with pytest.raises(pulumi.RunError, match="watchme has more to release than secrets of web: /"):
        refuse_more("watchme", "secrets of web", more, build(new), served)


def test_last_release_is_read_from_the_command_output():
    """An update that failed has written no outputs of the component."""
    urn = "urn:pulumi:prod::infra::infra:index:Release"
    component = {"type": "infra:index:Release", "outputs": {}}
    command = {"type": "command:local:Command", "outputs": {"stdout": '{"release": "r1"}'}}
    resources = {f"{urn}::box-release": component, f"{urn}$command:local:Command::box-release-apply": command}
    assert read(resources).last_releases == {"box-release": LastRelease("r1")}
    component["outputs"] = {"id": "r0", "files": {"/a": "1"}}
    assert read(resources).last_releases == {"box-release": LastRelease("r1", {"/a": "1"})}
    command["outputs"] = {"stdout": "[secret]"}
    assert read(resources).last_releases == {"box-release": LastRelease("r0", {"/a": "1"})}


def test_invalid_record_of_deployed_images_is_ignored():
    """An update in which something new was passed over may have written another value."""

    def state(deployed):
        return {"urn::stack": {"type": "pulumi:pulumi:Stack", "outputs": {"deployed": deployed}}}

    assert read(state("04da6b54")).deployed == {} and read(state({"box": {}})).deployed == {"box": {}}
