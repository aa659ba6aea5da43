"""Public paths, as the rendered files of both proxies have them."""

import pytest

from infra.preview.serving import public_paths
from rendering.host import render
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
