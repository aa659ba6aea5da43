"""What two instances of a system on one host must not share, and which values of one lead to the other."""

from functools import partial

import pytest

from catalogue.checks import check
from catalogue.instances import path_of
from catalogue.problems import errors
from rendering.host import render
from tests.catalogue.shop import SECOND, STAGING, leading_elsewhere, lines, read_shop, with_a_name_of_anothers


@pytest.fixture
def project(tmp_path):
    """Reads a project with the shop."""
    return partial(read_shop, tmp_path)


PATHS = {
    "two write": (lambda text: text.replace("/srv/shop/media", "/srv/media"), "/srv/media also belongs to shop"),
    "one reads what another writes": (
        lambda text: text.replace('"/srv/shop/media:/media"', '"/srv/content:/media:ro"').replace(
            '"/opt/web/cache:/cache"', '"/srv/content/shop:/cache"'
        ),
        "/srv/content also belongs to shop, and one of the two writes there",
    ),
    "one below another": (
        lambda text: text.replace("data: [/srv/shop/media]", "data: [/srv/shop/media, /mnt/all]"), "/mnt/all also belongs to shop",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "line"), PATHS.values(), ids=PATHS)
def test_path_without_the_system_name_conflicts_on_one_host(project, change, line):
    assert f"{line}" in lines(project("shop", STAGING, change=change))
    assert "writes there" not in lines(project("shop", hosts={"second": SECOND}, change=change))


def test_instances_may_share_read_only_mounts(project):
    def change(text):
        return text.replace('"/srv/shop/media:/media"', '"/etc/localtime:/etc/localtime:ro"')

    assert "localtime" not in lines(project("shop", STAGING, change=change))


def test_shared_directory_with_different_owners_is_refused(project):
    def change(text):
        directories = "directories: [{path: /srv/common}]\n"
        other = '  small: {directories: [{path: /srv/common, owner: "999"}], services'
        return text.replace("data: [", f"{directories}data: [").replace("  small: {services", other)

    assert "directory /srv/common also belongs to shop, with another owner or mode" in lines(
        project("shop", {**STAGING, "variant": "small"}, change=change)
    )


def test_two_in_the_file_are_two_of_an_instance(project):
    """`data` and `shop-data` would both become `shop-staging-data`."""

    def change(text):
        return text.replace('"/opt/web/cache:/cache"', '"data:/cache"')

    found = lines(project("shop", STAGING, change=change))
    assert (
        "volumes data and shop-data of shop would both be shop-staging-data; must be other names for them in" in found
    )

    def merged(text):
        return text.replace("    container: shop_worker_1\n", "").replace(
            "directory: /opt/web\n    unit: web.service", "directory: /opt/shop-web\n    unit: shop-web.service"
        )

    found = lines(project("shop", STAGING, change=merged))
    assert "directories /opt/shop-web and /opt/web of shop would both be /opt/shop-staging-web" in found
    assert "units shop-web.service and web.service of shop" in found


def test_service_name_belongs_to_one_system(project):
    """By it a service is asked for, logged, and given its secrets."""

    found = lines(project("shop", STAGING, change=with_a_name_of_anothers))
    assert "service shop-staging-db: system shop has a service of this name on host box too" in found
    elsewhere = lines(project("shop", hosts={"second": SECOND}, change=with_a_name_of_anothers))
    assert (
        "service shop-staging-db: shop also has a service of this name: both would share infra:secrets.shop-staging-db"
        in elsewhere
    )


def test_a_variant_of_an_instance_may_be_chosen_with_all_others(project):
    made = project("shop", STAGING, variants={"shop-staging": "small"})
    limits = [made.systems[name].compose_services[1].memory.limit for name in ("shop", "shop-staging")]
    assert limits == ["256m", "128m"]


def test_instances_may_name_the_same_host_resources(project):
    def change(text):
        once = "enables: [cron.service]\naccounts: [{name: shop, home: /srv/shop}]\nmonitor_names: [/opt/check.sh]\n"
        drop_in = (
            "drop_ins: [{path: /etc/systemd/journald.conf.d/shop.conf, sections: {Journal: {SystemMaxUse: 1G}}}]\n"
        )
        return text.replace("data: [", f"{once}{drop_in}data: [")

    made = project("shop", STAGING, change=change)
    assert errors(check(made)) == [], lines(made)
    both = render(made, "box")
    assert [unit.name for unit in both.units].count("cron.service") == 1 and len(both.accounts) == 1
    paths = [file.path for file in both.files]
    assert paths.count("/opt/check.sh") == 1
    assert "/etc/systemd/journald.conf.d/shop-staging.conf" in paths


def test_directly_below_the_root_are_the_hosts_own_directories():
    assert path_of("/srv/srv/films", "srv", "srv-two") == "/srv/srv-two/films"
    assert path_of("/home/ubuntu/home", "home", "two") == "/home/ubuntu/two"


def test_a_value_that_leads_to_another_instance_is_a_warning(project):
    found = lines(project("shop", STAGING, change=leading_elsewhere))
    apex = {**STAGING, "names": {"shop.hey-watch.me": "hey-watch.me"}}
    assert "the value of BASE_URL names shop.hey-watch.me, which is hey-watch.me in this instance" in lines(
        project("shop", apex, change=leading_elsewhere)
    )
    assert (
        "service shop-staging-web: the value of BASE_URL names shop.hey-watch.me, which is staging.hey-watch.me"
        in found
    )
    assert found.count("the value of BASE_URL") == 1
    assert "BASE_URL" not in lines(
        project(
            "shop",
            STAGING,
            change=lambda text: leading_elsewhere(text).replace("shop.hey-watch.me/", "shop.hey-watch.me.au/"),
        )
    )
    names = {"shop.hey-watch.me": "dev.hey-watch.me"}
    assert "which is dev.hey-watch.me in this instance" in lines(project("shop", change=leading_elsewhere, names=names))


def test_address_of_another_instance_is_a_warning(project):
    def change(text):
        return text.replace(
            "image: {repository: docker", "address: 10.176.61.9\n    image: {repository: docker"
        ).replace("postgres://shop-db/shop", "postgres://10.176.61.9/shop")

    found = lines(project("shop", STAGING, change=change))
    assert (
        "service shop-staging-web: the value of DATABASE_URL names 10.176.61.9, which is an address in the first instance's network"
        in found
    )
    assert found.count("10.176.61.9") == 1, "the first one's own is right"


LEADING = {
    "a command": ("release: {command: migrate}", "command: run --url=https://SHOP.hey-watch.me", "its command names"),
    "a release step": ("{command: migrate}", "{command: migrate https://shop.hey-watch.me}", "release step release names"),
    "a label": ("release: {command: migrate}", "labels: {url: shop.hey-watch.me}", "label url names"),
    "a header": (
        "sites: [{name: shop.hey-watch.me}]",
        "sites: [{name: shop.hey-watch.me, headers: {Content-Security-Policy: connect-src https://shop.hey-watch.me}}]",
        "header Content-Security-Policy names",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line"), LEADING.values(), ids=LEADING)
def test_name_of_another_instance_is_reported_wherever_it_stands(project, old, new, line):
    found = lines(project("shop", STAGING, change=lambda text: text.replace(old, new)))
    assert f"{line} shop.hey-watch.me, which is staging.hey-watch.me in this instance" in found, found
