"""Services of a host with a data disk: held back while it is not mounted, and nothing else changes."""

import pytest

from catalogue.data_disks import inside
from rendering.archive import build, manifest_of
from rendering.host import render
from tests.catalogue.backups import PASSWORD, with_backups
from tests.catalogue.changes import both, configured, hosted, setting
from tests.support import LAB, catalogue, changed, unchanged, whole

DISK = hosted(dataDisk={"size": 50})
VOLUME = setting("web", volumes=["web-data:/data"])
BIND = setting("web", volumes=["/srv/web/media:/media"])
BACKED_UP = configured(
    backupRegion="ap-northeast-3", secrets={"db": {"POSTGRES_PASSWORD": "x"}, "backup": {"RESTIC_PASSWORD": PASSWORD}}
)
NAME = "infra-data-disk.conf"


def drop_ins(files) -> dict[str, str]:
    return {file.path: file.content.decode() for file in files.files if file.path.endswith(NAME)}


def on_lab(host, name, change):
    def config(values):
        values["infra:hosts"][host]["dataDisk"] = {"size": 50}

    return changed(whole(config), name, change)


def test_containers_start_only_where_the_disk_is_mounted():
    files = render(catalogue(BIND, DISK), "watchme")
    text = drop_ins(files)["/etc/systemd/system/watchme-web-app.service.d/infra-data-disk.conf"]
    assert "RequiresMountsFor=/srv\nAssertPathIsMountPoint=/srv\n" in text
    units = {file.path.split("/")[-2].removesuffix(".d") for file in files.files if file.path.endswith(NAME)}
    held = {unit.name for unit in files.units if any(path.endswith(NAME) for path in unit.files)}
    assert held == units and "watchme-web-app.service" in held
    assert files.mounts == ["/srv"] == build(files).manifest.get("mounts")


def test_named_volumes_are_on_the_data_disk():
    files = render(catalogue(VOLUME, DISK), "watchme")
    text = drop_ins(files)["/etc/systemd/system/watchme-web-app.service.d/infra-data-disk.conf"]
    assert "RequiresMountsFor=/srv /var/lib/docker/volumes\n" in text
    assert "AssertPathIsMountPoint=/var/lib/docker/volumes\n" in text
    assert files.mounts == ["/srv", "/var/lib/docker/volumes"]


@pytest.mark.parametrize("made", [catalogue(BIND), catalogue(unchanged, DISK)], ids=["no disk", "nothing on it"])
def test_services_without_data_on_a_disk_have_no_drop_ins(made):
    assert drop_ins(render(made, "watchme")) == {}


def test_host_without_a_data_disk_has_an_unchanged_release():
    assert "mounts" not in manifest_of(render(catalogue(BIND), "watchme"))


def test_a_native_services_unit_and_a_timers_job_are_held_back():
    made = on_lab("services", "whisper", lambda data: data.update(data=["/srv/whisper/uploads"]))
    files = render(made, "services")
    system = made.running["whisper"]
    held = {path.split("/")[-2] for path in drop_ins(files)}
    for service in system.native_services:
        assert f"{getattr(service, 'job_unit', service.unit)}.d" in held


def test_the_lab_has_none():
    assert not any("dataDisk" in host for host in LAB["infra:hosts"].values())


def test_path_on_the_data_disk_is_computed():
    assert inside("/srv/shop/media") == "/shop/media"
    assert inside("/var/lib/docker/volumes/a/_data") == "/.docker-volumes/a/_data"


def test_backup_requires_the_data_disk():
    made = catalogue(both(with_backups, BIND), both(BACKED_UP, DISK))
    held = drop_ins(render(made, "watchme"))
    assert "AssertPathIsMountPoint=/srv\n" in held["/etc/systemd/system/infra-backup-db.service.d/infra-data-disk.conf"]


def test_services_of_one_unit_get_one_mount_drop_in():
    beside = setting(
        "admin", directory="/home/ubuntu/watchme-docker", compose_key="admin", unit="watchme-web-app.service"
    )
    files = render(catalogue(both(BIND, beside), DISK), "watchme")
    assert len([file for file in files.files if file.path.endswith(f"watchme-web-app.service.d/{NAME}")]) == 1
