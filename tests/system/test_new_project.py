"""A project made by `infra new`, as its owner has it: its own environment, its own lab, a change, an image of their own."""

import json
import os
import re
import shutil

import pytest

from lab import machine
from lab.settings import LABEL
from tests.support import ROOT, execute
from tests.system.cannot import reason_why_not

pytestmark = [pytest.mark.lab, pytest.mark.nightly, pytest.mark.timeout(1200)]
LAB = "shop:79"
SERVER = """
FROM {base}
RUN mkdir /srv/www && echo own >/srv/www/health
CMD ["python3", "-m", "http.server", "--directory", "/srv/www", "8080"]
"""


SECOND = """
  - name: shop-api
    kind: compose
    purpose: x
    image: {repository: shop-api, tag: "1.2"}
    port: 8041
    container_port: 8080
    routes: [{public: /api/, internal: /}]
    memory: {limit: 64m}
    secrets: [TOKEN]
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    assert not reason_why_not()
    folder = tmp_path_factory.mktemp("project") / "shop"
    execute(ROOT / ".venv/bin/infra", "new", folder, "--zone", "shop.example")
    try:
        yield folder
    finally:
        run(folder, "make", "lab-down")
        left = execute("docker", "ps", "-aq", "--filter", f"label={LABEL}=shop").stdout
        machine.stop_docker()
    assert left == "" and not (folder / ".lab").exists()
    shutil.rmtree(folder)


def run(folder, *words, code=0):
    """As its owner would: nothing of this checkout's environment is on the way."""
    ours = {"VIRTUAL_ENV", "PYTHONPATH", "UV"}
    env = {name: value for name, value in os.environ.items() if name not in ours} | {"LAB": LAB, "CI": "true"}
    env["PATH"] = f"{os.path.dirname(os.environ['UV'])}:{env['PATH']}" if "UV" in os.environ else env["PATH"]
    done = execute(*words, cwd=folder, env=env, code=None, timeout=900)
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def in_its_shell(folder, command, code=0):
    return run(folder, "bash", "-c", f". .lab/env && {command}", code=code)


def test_new_project_serves_its_service_in_the_lab(shop):
    said = run(shop, "make", "lab")
    assert "https://shop.shop.example/health" in said and "services: 1 of 1 healthy" in said
    assert re.search(r"Resources:\n +[0-9]+ unchanged\n", in_its_shell(shop, "pulumi preview --diff"))


def test_changed_catalogue_is_previewed_and_released(shop):
    file = shop / "files/systems/shop.yaml"
    file.write_text(file.read_text().replace("limit: 256m", "limit: 200m"))
    assert "mem_limit: 200m" in in_its_shell(shop, "infra preview --stack lab").replace('"', "")
    in_its_shell(shop, "pulumi up --yes")
    assert "1 of 1 healthy" in in_its_shell(shop, "infra status --stack lab")


def test_a_built_image_is_pushed_and_released(shop, tmp_path):
    (tmp_path / "Dockerfile").write_text(SERVER.format(base=machine.base_image("plain")))
    execute(
        "docker",
        "build",
        "-q",
        "-t",
        "shop-of-mine:1",
        tmp_path,
        env={**os.environ, "DOCKER_BUILDKIT": "0"},
        timeout=120,
    )
    in_its_shell(shop, "infra push shop-web:latest --from shop-of-mine:1 --stack lab")
    in_its_shell(shop, "pulumi up --yes")
    address = json.loads(in_its_shell(shop, "pulumi stack output addresses --json"))["web"]
    answer = in_its_shell(
        shop,
        f'curl -s --max-time 10 --cacert "$LAB_CA" --resolve shop.shop.example:443:{address} https://shop.shop.example/health',
    )
    assert answer == "own\n"


def test_edits_reach_the_running_lab(shop):
    """An image in lab.yaml, a second service with a secret, and a key of Pulumi.lab.yaml."""
    file, config = shop / "files/systems/shop.yaml", shop / "Pulumi.lab.yaml"
    file.write_text(file.read_text() + SECOND)
    (shop / "lab.yaml").write_text('images: {"shop-api:1.2": "shop-of-mine:1"}\nsecrets: {shop-api.TOKEN: given}\n')
    kept = config.read_text()
    config.write_text(f"{kept}  infra:keepReleases: 7\n")
    said = run(shop, "make", "lab")
    assert "applying edits of Pulumi.lab.yaml" in said and "services: 2 of 2 healthy" in said, said
    assert in_its_shell(shop, "pulumi config get infra:keepReleases") == "7\n"
    assert "shop-api.TOKEN" in in_its_shell(shop, "infra secret list --stack lab")
    assert "pushing" not in run(shop, "make", "lab")
    config.write_text(f"{kept}  infra:backupRegion: us-west-2\n")
    said = run(shop, "make", "lab", code=2)
    assert "has other regions than the running lab: run `make lab-down` first" in said
    config.write_text(f"{kept}  infra:keepReleases: 7\n")
    assert "services: 2 of 2 healthy" in run(shop, "make", "lab-status")


def test_unknown_key_of_lab_yaml_is_one_line(shop):
    (shop / "lab.yaml").write_text("imagse: {}\n")
    said = run(shop, "make", "lab-status", code=None)
    assert "lab: lab.yaml: imagse" in said and "Traceback" not in said
    (shop / "lab.yaml").write_text('images: {"shop-wep:latest": "shop-of-mine:1"}\n')
    said = run(shop, "make", "lab", code=None)
    assert "lab.yaml: images: no service runs shop-wep:latest; did you mean 'shop-web:latest'?" in said
    (shop / "lab.yaml").unlink()


def test_the_tutorials_product_runs_in_its_lab(shop):
    """As docs/tutorial.md writes it down, with its own images where no registry is in reach."""
    run(shop, "make", "lab-down")
    system, *_, extras = re.findall(r"```yaml\n(.*?)```", (shop / "docs/tutorial.md").read_text(), re.DOTALL)
    reader = system.replace("reader.example.com", "reader.shop.example")
    (shop / "files/systems/reader.yaml").write_text(reader)
    (shop / "lab.yaml").write_text(extras)
    stack = (shop / "Pulumi.lab.yaml").read_text().replace("systems: [shop]", "systems: [reader]")
    (shop / "Pulumi.lab.yaml").write_text(f"{stack}  infra:backupRegion: ap-northeast-3\n")
    said = run(shop, "make", "lab")
    assert "https://reader.shop.example/healthcheck" in said and "services: 3 of 3 healthy" in said
    assert "reader-db: backup " in in_its_shell(shop, "infra backup now reader-db --stack lab")
