"""What grows on a host without a limit, as `infra check` lists it."""

from catalogue.growth import MOST, growing_data, growth_notes
from tests.catalogue.changes import hosted
from tests.support import catalogue, service, whole


def with_volumes(count: int):
    def change(data):
        volumes = [{"type": "volume", "source": f"v{number}", "target": f"/v{number}"} for number in range(count)]
        service(data, "web")["volumes"] = volumes

    return change


def test_volumes_and_directories_that_grow_are_listed_for_each_host():
    made = catalogue(with_volumes(MOST + 2))
    volumes, _ = growing_data(made, "watchme")
    assert {f"v{number}" for number in range(MOST + 2)} <= {*volumes}
    (line,) = growth_notes(made)
    assert line.startswith("watchme: no limit on the size of volumes ") and "more" in line
    assert "on the host's disk; the alert disk reports" in line


def test_every_host_with_data_has_one_line():
    made = whole()
    with_data = [host for host in made.stack.hosts if any(growing_data(made, host))]
    assert [line.partition(":")[0] for line in growth_notes(made)] == with_data


def test_data_beside_the_disk_for_data_is_said_to_be_elsewhere():
    """A larger disk for data makes no room on the other."""
    made = catalogue(with_places("/srv/shop/uploads", "/opt/shop/uploads"), hosted(dataDisk={"size": 50}))
    (line,) = growth_notes(made)
    of_disk, of_host, _ = line.split("; ")
    assert "volumes v0" in of_disk and "/srv/shop/uploads, on the disk for data" in of_disk and "/opt" not in of_disk
    assert "/opt/shop/uploads, on the host's disk" in of_host and "volumes" not in of_host and "/srv" not in of_host


def with_places(*places: str):
    def change(data):
        binds = [{"type": "bind", "source": place, "target": f"/p{n}"} for n, place in enumerate(places)]
        service(data, "web")["volumes"] = [{"type": "volume", "source": "v0", "target": "/v0"}, *binds]

    return change
