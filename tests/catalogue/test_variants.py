"""Variants of a system: what is laid over what."""

import pytest

from catalogue.loading import load
from catalogue.problems import CatalogueError
from catalogue.variants import apply_variant
from tests.support import ROOT, whole

DATA = {
    "system": "x",
    "enables": ["a.service"],
    "services": [{"name": "s", "environment": {"A": "1"}, "files": [1, 2]}, {"name": "t"}],
    "variants": {
        "big": {"enables": ["b.service"], "services": {"s": {"environment": {"B": "2"}, "files": [3]}}},
        "small": None,
    },
}


def test_the_first_is_the_default_and_mappings_are_laid_over_each_other():
    made = apply_variant(DATA, None)
    assert made["variant"] == "big" and made["enables"] == ["b.service"]
    assert made["services"] == [{"name": "s", "environment": {"A": "1", "B": "2"}, "files": [3]}, {"name": "t"}]
    assert apply_variant(DATA, "small") == {k: v for k, v in DATA.items() if k != "variants"} | {"variant": "small"}


@pytest.mark.parametrize(
    ("data", "wanted", "line"),
    [
        (DATA, "huge", "variants: big, small"),
        ({"system": "x"}, "big", "it has no variants"),
        ({"variants": {}}, None, "a mapping with one entry for each"),
        ({"variants": {"a": 3}}, None, "variants: a: a mapping such as"),
        ({"variants": {"a": [1]}}, None, "variants: a: a mapping such as"),
        ({"variants": {"a": {"services": [1]}}}, None, "variants: a: a mapping such as"),
        ({**DATA, "variants": {"big": {"services": {"u": {}}}}}, None, "changes the service 'u', which"),
    ],
)
def test_unknown_variant_is_refused(data, wanted, line):
    with pytest.raises(ValueError, match=line):
        apply_variant(data, wanted)


def test_the_stack_chooses():
    (gpu,) = whole(lambda config: config.update({"infra:variants": {}})).systems["whisper"].native_services
    (cpu,) = whole().systems["whisper"].native_services
    assert (
        gpu.environment["WHISPER_CUBLAS"] == "1"
        and gpu.directives["Service"]["ExecStart"] == "/opt/whisper/run.sh gpu release"
    )
    assert (
        cpu.environment == {"RUST_LOG": "info"}
        and cpu.directives["Service"]["ExecStart"] == "/opt/whisper/run.sh cpu release"
    )


def test_an_unknown_variant_names_the_file_and_the_allowed_ones():
    stack = whole().stack.model_copy(update={"variants": {"whisper": "tpu"}})
    with pytest.raises(
        CatalogueError, match=r"files/systems/whisper.yaml: variants: variant 'tpu'; variants: gpu, cpu"
    ):
        load(ROOT, stack)
