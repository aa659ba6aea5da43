"""Comments of a pull request, against a stand-in of GitHub's API."""

import pytest
from typer.testing import CliRunner

from infra import github_api
from infra.comment import Pull, find_pull, post, read
from infra.errors import InfraError
from infra.main import app
from tests.github import HEAD, TOKEN, GitHub, serving

PROD = "<!-- infra preview prod -->\n### 🔶 prod: 1 service restarts: web\n\n- `@team` look\n"
DEV = "<!-- infra preview dev -->\n### ✅ dev: no change\n"


@pytest.fixture
def github():
    with serving(GitHub()) as made:
        yield made


def pull(github: GitHub, token: str = TOKEN, number: int = 7) -> Pull:
    return Pull(github.url, "team/infra", number, token)


def posted(github: GitHub, *texts: str, head: str | None = HEAD, **named) -> list[str]:
    return list(post(pull(github, **named), {text.split()[3]: text for text in texts}, head))


def test_each_changed_stack_gets_one_comment_without_mentions(github):
    assert posted(github, PROD, DEV) == ["dev: no change, no comment", "prod: written"]
    (made,) = github.comments
    assert made["body"].startswith("<!-- infra preview prod -->") and "@team" not in made["body"]
    assert made["body"].split("\n")[1].startswith("<sub>Written by the code of this pull request itself at ")


def test_comment_is_edited_on_any_page_of_comments(github):
    for number in range(5):
        github.says(f"hello {number}", "User")
    assert posted(github, PROD) == ["prod: written"]
    for number in range(4):
        github.says(f"hello again {number}", "User")
    assert posted(github, PROD) == ["prod: as it was"]
    assert posted(github, PROD.replace("web", "admin")) == ["prod: edited"]
    assert github.writes == ["POST /repos/team/infra/issues/7/comments", "PATCH 105"]


def test_comment_is_updated_when_its_change_is_gone(github):
    github.says(PROD.replace("prod", "dev"))
    assert posted(github, DEV) == ["dev: edited"] and "no change" in github.comments[0]["body"]


def test_a_comment_that_a_person_wrote_with_our_mark_is_not_ours(github):
    github.says(PROD, "User")
    assert posted(github, PROD) == ["prod: written"] and len(github.comments) == 2


def test_no_comment_is_written_for_a_superseded_commit(github):
    with pytest.raises(InfraError, match=r"is at aaaaaaaaaa by now, the preview is of bbbbbbbbbb: nothing written"):
        posted(github, PROD, head="b" * 40)
    assert github.writes == []


def test_pull_request_is_found_by_its_head(github):
    assert find_pull(github.url, "team/infra", TOKEN, "fork:topic", HEAD).number == 7
    with pytest.raises(InfraError, match="no open pull request from other:topic"):
        find_pull(github.url, "team/infra", TOKEN, "other:topic", HEAD)


def test_transient_github_failures_are_retried(github, monkeypatch):
    monkeypatch.setattr(github_api.time, "sleep", lambda seconds: None)
    github.failures = [502, 429]
    assert posted(github, PROD) == ["prod: written"]


def test_a_comment_that_may_be_there_already_is_not_written_again(github, monkeypatch):
    monkeypatch.setattr(github_api.time, "sleep", lambda seconds: None)
    github.page = 100
    sent = []
    real = github_api.page
    monkeypatch.setattr(
        github_api,
        "page",
        lambda *a: sent.append(a) or (github.failures.append(500) if a[2:3] == ("POST",) else None) or real(*a),
    )
    with pytest.raises(InfraError, match="500"):
        posted(github, PROD)
    assert github.writes == [] and github.failures == []


def test_preview_of_one_line_is_posted(github):
    assert posted(github, PROD.split("\n")[0]) == ["prod: written"]


def test_forged_no_change_line_does_not_suppress_a_comment(github):
    assert posted(github, PROD + "### ✅ nothing\n") == ["prod: written"]


REFUSED = {
    "a bad token": ({"token": "no"}, [], r"401 Bad credentials; is the token in GITHUB_TOKEN still good"),
    "no right": ({}, [403], r"403 try later; the job needs permissions: pull-requests: write"),
    "no such pull request": ({"number": 8}, [], r"404 Not Found; no such pull request"),
    "ill for good": ({}, [500, 500, 500], r"GET http\S+: 500 try later"),
}


@pytest.mark.parametrize(("named", "failures", "said"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_is_one_line_without_the_token(github, monkeypatch, named, failures, said):
    monkeypatch.setattr(github_api.time, "sleep", lambda seconds: None)
    github.failures = failures
    with pytest.raises(InfraError, match=said) as error:
        posted(github, PROD, **named)
    assert TOKEN not in str(error.value) and github.writes == []


def test_only_previews_are_posted(tmp_path):
    for text in ("hello", "<!-- infra preview prod -->\n", "<!-- infra preview prod -->\n\n \n"):
        (tmp_path / "x.md").write_text(text)
        with pytest.raises(InfraError, match="is no preview of infra"):
            read([tmp_path / "x.md"], ["prod"])
    (tmp_path / "x.md").write_text(PROD.replace("prod", "staging"))
    with pytest.raises(InfraError, match="there is no stack staging; stacks: prod"):
        read([tmp_path / "x.md"], ["prod"])
    (tmp_path / "x.md").write_text(PROD + "x" * 70_000)
    with pytest.raises(InfraError, match="a comment holds 65536"):
        read([tmp_path / "x.md"], ["prod"])


def test_the_command(github, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    (tmp_path / "prod.md").write_text(PROD)
    words = ["comment", str(tmp_path / "prod.md"), "--repository", "team/infra", "--api", github.url, "--head", HEAD]
    ran = CliRunner().invoke(app, [*words, "--from", "fork:topic"])
    assert (ran.exit_code, ran.output) == (0, "prod: written\n")
    ran = CliRunner().invoke(app, words[:6])
    assert ran.exit_code == 1 and "which pull request" in str(ran.exception)


@pytest.mark.parametrize(
    "tail", ["<!--", "```", "<details>", "cc &#64;octocat", "cc &commat;octocat", "cc &#x40;octocat"]
)
def test_comment_keeps_its_origin_and_mentions_no_account(github, tail):
    posted(github, f"{PROD}\n{tail}")
    (made,) = github.comments
    mark, origin, *rest = made["body"].split("\n")
    assert origin.startswith("<sub>Written by the code of this pull request itself at ") and HEAD in origin
    assert mark == "<!-- infra preview prod -->"
    assert not {"&#64;", "&commat;", "&#x40;"} & {word[: word.find(";") + 1] for word in "\n".join(rest).split()}
