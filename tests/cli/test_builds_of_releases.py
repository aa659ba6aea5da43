"""Which builds a release brought, in `infra releases`."""

from infra.releases import history, new_builds

COMMIT = "c0ffee" + "0" * 34
ANSWER = {
    "current": "b", "kept": ["a", "b"], "history": [], "images": [], "reached": [], "damaged": [], "damaged_jobs": [],
    "services": {
        "a": {"web": ["web@1"], "api": ["api@1"], "db": ["db@1"]}, "b": {"web": ["web@2"], "api": ["api@1"], "db": ["db@2"]},
    },
    "builds": {"b": {"web": {"commit": COMMIT, "version": "1.4"}, "api": {"commit": COMMIT}}},
}  # fmt: skip


def job(release: str, base: str | None) -> dict:
    return {
        "job": "j", "release": release, "base": base, "who": "ci", "kind": "apply", "changed": [], "outcome": "applied",
        "code": 0, "line": "applied", "began": "2026-11-30T00:00:00Z",
    }  # fmt: skip


def test_builds_of_changed_images_with_labels_are_shown():
    assert new_builds(job("b", "a"), ANSWER) == "web 1.4, commit c0ffee000000"


def test_unknown_builds_are_a_dash():
    assert new_builds(job("a", None), ANSWER) == "-", "the first release"
    assert new_builds(job("b", "gone"), ANSWER) == "-", "the one before is no longer kept"
    of_an_earlier_agent = {key: value for key, value in ANSWER.items() if key != "builds"}
    assert new_builds(job("b", "a"), of_an_earlier_agent) == "-"


def test_builds_are_a_column_of_the_table():
    table = history("box", {**ANSWER, "history": [job("b", "a")]})
    (column,) = [column for column in table.columns if column.header == "builds"]
    assert [str(cell) for cell in column.cells] == ["web 1.4, commit c0ffee000000"]
