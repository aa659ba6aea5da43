"""What Pulumi's own command line says, with what to do."""

import json
import subprocess

import pytest

from infra import pulumi
from infra.errors import InfraError


@pytest.mark.parametrize(
    ("complaint", "said"),
    [
        ("error: failed to load checkpoint: EOF", r"STACK\.json\.bak\): copy that over it, then run infra orphans"),
        ("error: no stack named 'x' found", r"^pulumi stack export: error: no stack named 'x' found$"),
    ],
)  # fmt: skip
def test_a_complaint_has_a_remedy_where_pulumi_names_none(monkeypatch, complaint, said):
    monkeypatch.setattr(pulumi, "attempt", lambda *_, **__: subprocess.CompletedProcess([], 255, "", f"{complaint}\n"))
    with pytest.raises(InfraError, match=said) as error:
        pulumi.pulumi("stack", "export")
    assert "\n" not in str(error.value)


def test_error_of_a_preview_comes_before_its_warnings(monkeypatch):
    said = [{"severity": "warning", "message": "warning: w"}, {"severity": "error", "message": "no plugin"}]
    answer = json.dumps({"diagnostics": [*said, {"severity": "info", "message": "i"}]})
    monkeypatch.setattr(pulumi, "attempt", lambda *_, **__: subprocess.CompletedProcess([], 255, answer, ""))
    with pytest.raises(InfraError) as error:
        pulumi.preview()
    assert str(error.value).splitlines() == ["no plugin", "warning: w", "i"]
