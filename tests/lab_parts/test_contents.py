"""Names of lab.yaml that nothing else has: each would be passed over in silence."""

import pytest

from catalogue.loading import images_of
from lab import contents
from lab.contents import pack_artefacts, unknown_names
from lab.project import Extras, Project
from lab.say import LabError
from tests.support import whole

UNKNOWN = {
    "an image": ({"images": {"watchme-wep:latest": "mine"}}, "images: no service runs watchme-wep:latest; did you mean 'watchme-web:latest'?"),
    "a stub": ({"stubs": {"watchme-wep": {"port": 1}}}, "stubs: no service runs watchme-wep; did you mean 'watchme-web'?"),
    "a host": ({"rehearse": ["web"]}, "rehearse: stack lab has no host web; its hosts: watchme, services, home"),
    "a foreign name's system": ({"foreign_names": {"x.example": "recal"}}, "foreign_names: there is no system recal; did you mean 'recall'?"),
    "a machine's system": ({"machines": {"pc": {"memory": "1g", "systems": ["vocoda"]}}}, "machines: there is no system vocoda; did you mean 'vocoder'?"),
}  # fmt: skip


def unknown(extras: dict) -> list[str]:
    made = whole()
    return list(unknown_names(Extras.model_validate(extras), made, images_of(made.running.values())))


@pytest.mark.parametrize(("extras", "line"), UNKNOWN.values(), ids=UNKNOWN)
def test_a_name_that_nothing_has_is_a_line(extras, line):
    assert unknown(extras) == [f"lab.yaml: {line}"]


def test_known_names_have_no_complaint():
    extras = {
        "images": {"watchme-web:latest": "mine", "recall-api:latest": "./x"}, "rehearse": ["watchme"],
        "machines": {"pc": {"memory": "1g", "systems": ["totton"]}}, "foreign_names": {"x.example": "recall"},
    }  # fmt: skip
    assert unknown(extras) == []


class Records:
    """Where a lab's records lie."""

    def __init__(self, folder):
        self.folder = folder

    def path(self, *parts):
        path = self.folder.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with these images in its lab.yaml, and the pushes that follow."""

    def with_images(**images: str):
        (tmp_path / "lab.yaml").write_text("images:\n" + "".join(f"  {name}:1: {it}\n" for name, it in images.items()))
        monkeypatch.setattr(contents, "PROJECT", Project(tmp_path))
        return tmp_path

    return with_images


def test_all_that_is_wrong_of_artefacts_is_named_at_once(project):
    root = project(one="build", two="./gone", three="./empty")
    (root / "build").mkdir()
    (root / "empty").mkdir()
    with pytest.raises(LabError) as error:
        pack_artefacts(Records(root), ["here"], ["four:1", "one:1", "three:1", "two:1"])
    assert str(error.value).splitlines() == [
        "lab.yaml: images: four:1: is an artefact without a source in lab.yaml: set it to ./FOLDER or ./FILE",
        "lab.yaml: images: one:1: is an artefact: write ./build",
        f"lab.yaml: images: three:1: {root}/empty is empty: name the directory with what the service runs",
        "lab.yaml: images: two:1: is an artefact: this project has no ./gone: set it to ./FOLDER or ./FILE",
    ]


def test_manually_pushed_image_stays_until_its_folder_changes(project, monkeypatch):
    root, pushed, there = project(one="./app"), [], set()
    (root / "app").mkdir()
    (root / "app/run").write_text("1")
    monkeypatch.setattr(contents.registry, "manifest", lambda lab, *place: place in there)

    def push(lab, region, source, name):
        pushed.append(name)
        there.add((region, *name.split(":")))

    monkeypatch.setattr(contents.registry, "push_image", push)
    for _ in range(2):
        pack_artefacts(Records(root), ["here"], ["one:1"])
    assert pushed == ["one:1"]
    (root / "app/run").write_text("2")
    pack_artefacts(Records(root), ["here"], ["one:1"])
    there.clear()  # another lab's registry
    pack_artefacts(Records(root), ["here"], ["one:1"])
    assert len(pushed) == 3
