"""Repositories on GitHub whose workflows may push the images of their own services, and nothing else."""

from typing import Annotated

from pydantic import Field, model_validator

from catalogue.fields import Model, Name, pattern_text

# Whose tokens AWS takes, and for whom they are made out
ISSUER, AUDIENCE = "token.actions.githubusercontent.com", "sts.amazonaws.com"
_ENVIRONMENT = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", "the name of an environment of GitHub's: letters, digits and . _ -"
_REF = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_.-]+)*$"
# As GitHub has them in its tokens, in their own case, since AWS compares by letter; with their numbers where it does
GitRepository = Annotated[
    str,
    pattern_text(
        r"^[A-Za-z0-9][A-Za-z0-9-]{0,38}([@-]\d+)?/[A-Za-z0-9._-]{1,100}(@\d+)?$",
        "a repository of GitHub's, OWNER/NAME",
        max_length=160,
    ),
]


class Pusher(Model):
    """What a repository on GitHub may push: images of its services, and nothing else."""

    services: Annotated[list[Name], Field(min_length=1)]
    """The services whose images it may push."""
    branch: (
        Annotated[str, pattern_text(_REF, "the name of a branch, such as main or release/2", max_length=200)] | None
    ) = None
    """The branch that its workflows run on; `main` where neither a branch nor an environment is written."""
    environment: Annotated[str, pattern_text(*_ENVIRONMENT, max_length=200)] | None = None
    """The environment of GitHub's that its workflows name, in the branch's place."""

    @model_validator(mode="after")
    def _one(self) -> "Pusher":
        if self.branch and self.environment:
            raise ValueError(
                "a branch or an environment, not both: a workflow with an environment is identified by that alone"
            )
        return self

    def subject(self, repository: str) -> str:
        """Who a workflow is by its token (GitHub's documentation, "OpenID Connect reference")."""
        if self.environment:
            return f"repo:{repository}:environment:{self.environment}"
        return f"repo:{repository}:ref:refs/heads/{self.branch or 'main'}"
