"""Images that were deployed for one service alone."""

from functools import partial

import pytest

from catalogue.deployed_images import pin_images, standing
from rendering.archive import manifest_of
from rendering.host import render
from rendering.images import images_of
from tests.catalogue.shop import STAGING, read_shop
from tests.support import changed, service, whole

NEW, OLD = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
TAGS = {"shop-web:latest": OLD}


@pytest.fixture
def project(tmp_path):
    return partial(read_shop, tmp_path)


def runs(made, host="box") -> dict[str, str]:
    """Container → the digest of its image."""
    files = render(made, host, TAGS)
    return {one.name: one.image.partition("@")[2] for one in files.containers}


def test_pinned_image_concerns_one_service_only(project):
    made = project("shop", STAGING)
    after = pin_images(made, {"box": {"shop-staging-web": {"shop-web:latest": NEW}}})
    found = runs(after)
    assert found["shop-staging-web"] == NEW
    assert (found["web"], found["shop_worker_1"], found["shop-staging_worker_1"]) == (OLD, OLD, OLD)
    assert f"shop-web@{NEW}" in {image.name for image in after.images}, "what moves to another region has it too"


def test_catalogue_is_unchanged_without_pinned_images(project):
    made = project("shop", STAGING)
    assert pin_images(made, {}).systems == made.systems


def test_obsolete_pinned_images_are_dropped(project):
    made = project("shop")
    deployed = {
        "box": {
            "web": {"shop-web:latest": NEW, "shop-web:1": NEW}, "gone": {"shop-web:latest": NEW},
            "worker": {"shop-web:2": NEW},
        },
        "gone": {"web": {"shop-web:latest": NEW}},
    }  # fmt: skip
    assert standing(made, deployed) == {"box": {"web": {"shop-web:latest": NEW}}}


def test_changed_tag_of_the_catalogue_overrides_a_pinned_image(project):
    made = project(
        "shop",
        change=lambda text: text.replace("image: {repository: shop-web}", "image: {repository: shop-web, tag: '2'}"),
    )
    assert pin_images(made, {"box": {"web": {"shop-web:latest": NEW}}}).systems == made.systems


def test_release_steps_and_artefacts_come_along(project):
    made = project(
        "shop",
        change=lambda text: text.replace(
            "release: {command: migrate}", "release: {command: migrate, image: {repository: shop-web}}"
        ),
    )
    web = pin_images(made, {"box": {"web": {"shop-web:latest": NEW}}}).systems["shop"].compose_services[1]
    assert web.image.digest == NEW and web.release[0].image and web.release[0].image.digest == NEW

    def change(data):
        service(data, "recall-api")["artefact"] = {"repository": "recall", "into": "/srv/recall/venv"}

    recall = changed(whole(), "recall", change)
    after = pin_images(recall, {"services": {"recall-api": {"recall:latest": NEW}}})
    assert any(image.endswith(f"/recall@{NEW}") for image in images_of(manifest_of(render(after, "services"))))
