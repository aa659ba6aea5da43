"""What a project's lab is for: read from its files, and from nothing else."""

from dataclasses import replace

import pytest
import yaml

from lab import elsewhere, settings, stubs
from lab.products import Program, lay_out
from lab.project import Project
from lab.say import LabError
from lab.stubs import derive_stubs
from lab.workspace import merge_changes
from tests.support import catalogue, whole

CONFIG = {"aws:region": "eu-central-1", "infra:accountId": "123456789012", "infra:zone": "shop.example"}


def project(folder, extras="", **config):
    values = {key.replace("_", ":", 1): value for key, value in config.items()}
    (folder / "Pulumi.lab.yaml").write_text(yaml.safe_dump({"config": CONFIG | values}))
    if extras:
        (folder / "lab.yaml").write_text(extras)
    return Project(folder)


REGIONS = {
    "one to move from": ({}, ("eu-central-1", "ap-northeast-1")),
    "not its own twice": ({"aws_region": "ap-northeast-1"}, ("ap-northeast-1", "ap-southeast-2")),
    "not the backups'": (
        {"infra_backupRegion": "ap-northeast-1"},
        ("eu-central-1", "ap-southeast-2", "ap-northeast-1"),
    ),
    "those that stand by": ({"infra_standbyRegions": ["eu-west-1"]}, ("eu-central-1", "ap-northeast-1", "eu-west-1")),
}


@pytest.mark.parametrize(("config", "expected"), REGIONS.values(), ids=REGIONS)
def test_lab_has_the_regions_of_its_stack(tmp_path, config, expected):
    made = project(tmp_path, **config)
    assert made.regions == expected and made.account == "123456789012" and made.zone == "shop.example"


WRONG = {
    "a key": ("imagse: {}", "imagse"),
    "a list": ("[]", "is a list"),
    "no YAML": ("a: [", "lab.yaml"),
    "a port": ("stubs: {a: {port: 0}}", "stubs.a.port"),
    "an image without a tag": ("images: {shop-web: mine}", "images"),
    "memory": ("machines: {a: {memory: lots, systems: []}}", "memory"),
    "a machine's name": ("machines: {'A b': {memory: 1g, systems: []}}", "machines"),
    "a kind": ("machines: {a: {memory: 1g, systems: [], kind: big}}", "kind"),
    "a folder": ("programs: [../x]", "programs"),
    "a folder with a NUL": ('programs: ["a\\0b"]', "programs"),
    "twice": ("images: {}\nimages: {}", "defined twice"),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG)
def test_fault_of_lab_yaml_is_one_line(tmp_path, text, said):
    with pytest.raises(LabError) as raised:
        project(tmp_path, text).check()
    assert "lab.yaml" in str(raised.value) and said in str(raised.value)


@pytest.mark.parametrize(("key", "value"), [("infra_zone", None), ("infra_accountId", 12), ("aws_region", "")])
def test_a_stack_that_the_cloud_cannot_be_made_for_is_a_line(tmp_path, key, value):
    made = project(tmp_path, **{key: value})
    with pytest.raises(LabError, match=key.replace("_", ":", 1)):
        print(made.account, made.zone, made.regions)


def test_lab_without_lab_yaml_has_no_extras(tmp_path):
    assert project(tmp_path).extras.model_dump(exclude_defaults=True) == {}


@pytest.mark.parametrize("place", ["/etc/x", "../x", "a/../../x", "", "a/./b", "a b"])
def test_no_program_is_laid_anywhere_but_into_the_machine(place):
    for field in ({"go": place}, {"files": {"a": place}}, {"write": {place: "x"}}, {"venv": {"into": place}}):
        if field != {"go": ""}:
            with pytest.raises(ValueError, match=r"go|files|write|venv"):
                Program.model_validate(field)


def test_a_program_that_is_not_there_is_a_line(tmp_path):
    with pytest.raises(LabError, match=r"nosuch/program\.yaml"):
        lay_out(tmp_path / "tree", [tmp_path / "nosuch"])


def test_a_stub_listens_where_the_catalogue_says():
    def ports(data):
        data["services"][0].update({"container_port": 7000, "health": "/up"})

    (service, *_) = catalogue(ports).systems["watchme"].compose_services
    assert derive_stubs(catalogue(ports))[service.image.repository] == {"port": 7000, "health": "/up", "prefix": "/"}


def test_an_image_of_a_folder_is_another_with_each_name_and_mode(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM x\n")
    (tmp_path / "run").write_text("x")
    pins = [elsewhere._pin(tmp_path, "")]
    (tmp_path / "run").chmod(0o755)
    pins.append(elsewhere._pin(tmp_path, ""))
    (tmp_path / "run").rename(tmp_path / "start")
    pins.append(elsewhere._pin(tmp_path, ""))
    assert len({*pins, elsewhere._pin(tmp_path, "another")}) == 4


NAMES = {"": "lab:71", "shop:76": "shop:76"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "ROOT", tmp_path)
    monkeypatch.delenv("LAB", raising=False)
    return tmp_path


@pytest.mark.parametrize(("asked", "expected"), NAMES.items())
def test_lab_is_named_by_its_variable(here, monkeypatch, asked, expected):
    monkeypatch.setenv("LAB", asked)
    found = settings.default_lab()
    assert f"{found.name}:{found.number}" == expected


@pytest.mark.parametrize(
    "asked", ["shop", "shop:1", "shop:255", "Shop:76", "a b:76", "shop:76:1", "-x:76", "x" * 20 + ":76"]
)
def test_invalid_lab_name_is_refused_in_one_line(here, monkeypatch, asked):
    monkeypatch.setenv("LAB", asked)
    with pytest.raises(LabError, match="NAME:NUMBER"):
        settings.default_lab()


def test_existing_lab_keeps_its_name(here, monkeypatch):
    (here / ".lab").mkdir()
    (here / ".lab/name").write_text("shop:76\n")
    assert settings.default_lab().name == "shop"
    monkeypatch.setenv("LAB", "other:90")
    with pytest.raises(LabError, match=r"already has a lab shop:76: run `make lab-down` first"):
        settings.default_lab()
    (here / ".lab/name").write_text("")
    assert settings.default_lab().name == "other"


EDITS = {
    "a new key": ({"a": 1}, {"a": 1, "b": 2}, {"a": 1, "own": 9}, {"a": 1, "own": 9, "b": 2}),
    "another value": ({"a": 1}, {"a": 2}, {"a": 1, "own": 9}, {"a": 2, "own": 9}),
    "a key that went": ({"a": 1, "b": 2}, {"a": 1}, {"a": 1, "b": 2, "own": 9}, {"a": 1, "own": 9}),
    "what only the lab changed": ({"a": 1}, {"a": 1}, {"a": 7}, {"a": 7}),
    "a host beside the lab's own": (
        {"hosts": {"web": {"x": 1}}}, {"hosts": {"web": {"x": 2}, "api": {}}}, {"hosts": {"web": {"x": 1, "k": 1}, "home": {}}},
        {"hosts": {"web": {"x": 2, "k": 1}, "home": {}, "api": {}}},
    ),
    "a list as a whole": ({"a": [1]}, {"a": [1, 2]}, {"a": [1]}, {"a": [1, 2]}),
    "another kind": ({"a": 1}, {"a": {"b": 1}}, {"a": 1}, {"a": {"b": 1}}),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after", "here", "expected"), EDITS.values(), ids=EDITS)
def test_an_edit_comes_into_the_labs_own_configuration(before, after, here, expected):
    assert merge_changes(before, after, here) == expected


def test_images_of_ssh_machines_are_included(tmp_path, monkeypatch):
    made = project(tmp_path, "machines: {office: {memory: 8g, systems: [watchme], kind: host}}")
    elsewhere_alone = replace(whole(), systems={**whole().systems})
    elsewhere_alone.stack.hosts.pop("watchme")
    assert not [image for image in elsewhere_alone.images if image.repository == "watchme-web"]
    monkeypatch.setattr(stubs, "PROJECT", made)
    assert [image for image in stubs.images(elsewhere_alone) if image.repository == "watchme-web"]
