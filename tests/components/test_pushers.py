"""Roles for the workflows of products' repositories: who may take them, and what they may."""

import json

import pytest

from catalogue.problems import CatalogueError
from tests.catalogue.changes import configured
from tests.components.program import run_program
from tests.support import ROOT, catalogue

PUSHERS = {
    "Acme/shop.web": {"services": ["ast-api", "web"]},
    "acme/search": {"services": ["web"], "environment": "production"},
}


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch):
    monkeypatch.chdir(ROOT)


def roles(made):
    found = [r for r in made.of("aws:iam/role:Role") if r.name.startswith("pusher-")]
    return {r.name: json.loads(r.inputs["assumeRolePolicy"])["Statement"][0] for r in found}


def test_pusher_role_is_for_one_repository_and_branch():
    made = run_program({"infra:pushers": PUSHERS})
    found = roles(made)
    assert sorted(found) == ["pusher-acme-search-b42d46-role", "pusher-acme-shop-web-a372a2-role"]
    statement = found["pusher-acme-shop-web-a372a2-role"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Principal"] == {
        "Federated": "arn:aws:iam::754724220380:oidc-provider/token.actions.githubusercontent.com"
    }
    assert statement["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": "repo:Acme/shop.web:ref:refs/heads/main",
        }
    }
    who = found["pusher-acme-search-b42d46-role"]["Condition"]["StringEquals"]
    assert who["token.actions.githubusercontent.com:sub"] == "repo:acme/search:environment:production"


def test_pusher_may_push_only_the_images_of_its_services():
    made = run_program({"infra:pushers": PUSHERS})
    (policy,) = [r for r in made.of("aws:iam/rolePolicy:RolePolicy") if r.name == "pusher-acme-shop-web-a372a2-policy"]
    statements = json.loads(policy.inputs["policy"])["Statement"]
    assert [s["Resource"] for s in statements] == [
        "*",
        ["arn:aws:ecr:*:754724220380:repository/watchme-api-ast", "arn:aws:ecr:*:754724220380:repository/watchme-web"],
    ]
    assert statements[0]["Action"] == "ecr:GetAuthorizationToken"
    assert not any("Delete" in action or "*" in action for action in statements[1]["Action"])


WRONG = {
    "a pattern in place of a name": {"acme/*": {"services": ["web"]}},
    "no owner": {"shop": {"services": ["web"]}},
    "any branch": {"acme/shop": {"services": ["web"], "branch": "*"}},
    "another claim": {"acme/shop": {"services": ["web"], "branch": "main:environment:prod"}},
    "a branch and an environment": {"acme/shop": {"services": ["web"], "branch": "main", "environment": "prod"}},
    "no service": {"acme/shop": {"services": []}},
}


@pytest.mark.parametrize("pushers", WRONG.values(), ids=WRONG)
def test_pusher_open_to_anyone_is_refused(pushers):
    with pytest.raises(CatalogueError, match=r"infra:pushers"):
        catalogue(config=configured(pushers=pushers))


def test_repository_names_are_case_sensitive():
    made = run_program({"infra:pushers": {"acme/shop": {"services": ["web"]}}})
    assert "repo:acme/shop:" in json.dumps(roles(made))


def test_names_that_are_alike_have_roles_of_their_own():
    alike = (
        "acme/shop-web",
        "acme-shop/web",
        "Acme/shop-web",
        "acme-international-holdings/customer-portal-frontend-service",
    )
    made = run_program({"infra:pushers": {name: {"services": ["web"]} for name in alike}})
    found = sorted(roles(made))
    # Pulumi adds eight characters, and IAM takes 64
    assert len(found) == 4 and max(map(len, found)) + 8 <= 64


def test_repository_with_ids_is_matched_by_them():
    """As GitHub's tokens have it for repositories that were made or renamed lately."""
    made = run_program({"infra:pushers": {"octocat@123456/my-repo@456789": {"services": ["web"]}}})
    assert "repo:octocat@123456/my-repo@456789:ref:refs/heads/main" in json.dumps(roles(made))
