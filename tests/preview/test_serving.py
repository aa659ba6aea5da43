"""Public paths, as the rendered files of both proxies have them."""

import pytest

from infra.preview.effects import effects
from infra.preview.serving import guarded_paths, public_paths
from rendering.archive import manifest_of
from rendering.host import render
from tests.serving import shop
from tests.support import whole


@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
def test_the_paths_of_a_site_are_those_of_its_routes(proxy):
    made = whole(lambda config: config["infra:hosts"]["services"].update(proxy=proxy))
    files = {file.path: file.content.decode() for file in render(made, "services").files}
    wanted = {
        f"{(system.site_of(route) or system.sites[0]).name}{route.public}"
        for system in made.systems_on("services")
        for service in system.active
        for route in service.routes
    }
    assert len(wanted) > 2 and public_paths(files) == wanted


@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
def test_public_and_guarded_paths_of_a_site_are_found(tmp_path, proxy):
    files = {file.path: file.content.decode() for file in render(shop(tmp_path, proxy), "box").files}
    public = public_paths(files)
    names = [path for path in public if path.startswith("shop.hey-watch.me/")]
    expected = {"/", "/files/", "/docs/", "/old", "/was/", "/away/", "/store", "/gone/", "/api/", "/plain/", "/admin/"}
    expected |= {"/both/", "/asks/", "/health", "/away-now/", "/gone-gate/", "/kept/", "/shared/"}
    expected |= {"/six/", "/large/", "/stalls/", "/whole/", "/stream/"}
    assert {path.removeprefix("shop.hey-watch.me") for path in names} == expected
    assert {p for p in guarded_paths(files) if p.startswith("shop.")} == {
        f"shop.hey-watch.me{p}" for p in ("/docs/", "/admin/", "/both/", "/asks/", "/gone-gate/", "/six/")
    }
    assert "members.hey-watch.me/" in guarded_paths(files) and "members.hey-watch.me/open/" in public - guarded_paths(
        files
    )


def test_changed_proxy_is_shown_as_a_replacement(tmp_path):
    nginx, caddy = (manifest_of(render(shop(tmp_path / proxy, proxy), "box")) for proxy in ("nginx", "caddy"))
    found = {effect.unit: effect.how for effect in effects(nginx, caddy, set())}
    assert found["caddy.service"] == "takes the other proxy's place" and "nginx.service" not in found
    without = {**nginx, "units": [unit for unit in nginx["units"] if unit["name"] != "nginx.service"]}
    found = {effect.unit: effect.how for effect in effects(nginx, without, set())}
    assert found["nginx.service"] == "stops permanently"
