"""`python -m infra.deliver`: what `pulumi up` runs for each host. The request, secrets included, is JSON on standard
input; progress goes to standard error, the result of a success to standard output, the exit code says how it ended."""

import hashlib
import json
import os
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import cast

from catalogue.updates import DEPLOYING
from infra import delivery, outside, unfinished_jobs
from infra.delivery import OutsideLook
from infra.errors import InfraError
from infra.lines import RESULT, one_line
from infra.remote import ask
from infra.ssh import Target
from infra.supervision import Say, Work, WorkOutcome, run
from infra.unfinished_jobs import Unfinished
from rendering.images import NEWEST, RIGHTS, images_in_ecr
from rendering.requests import ReleaseRequest

REFUSED = 3


def previous_output(name: str) -> str | None:
    """What Pulumi's state has of this host: the previous run's output comes back in the environment."""
    try:
        return json.loads(os.environ.get("PULUMI_COMMAND_STDOUT") or "{}").get(name)
    except ValueError:
        return None


class Delivered(delivery.Ending, total=False):
    """An outcome with all that the host says of it; `tagged` is the mark of the images whose tags keep them."""

    tagged: str


def limit_outcome(delivered: Delivered) -> Mapping[str, object]:
    """What Pulumi keeps of an outcome, however much a host says about it."""
    whole: dict[str, object] = {"release": None, **delivered, "line": one_line(delivered["line"])}
    if len(json.dumps(whole).encode()) <= RESULT:
        return whole
    return {name: whole[name] for name in ("code", "line", "outcome", "release", "tagged") if name in whole}


@dataclass
class ImageTags:
    """What keeps the images that a host needs in its registry. It takes no part in a release: without it ECR's
    clean-up may expire them one day, and that is said."""

    target: Target
    images: list[str]
    owner: str
    say: Say

    @property
    def mark(self) -> str:
        """What a state has once these images are tagged."""
        return hashlib.sha256("\n".join([self.owner, *self.images]).encode()).hexdigest()[:16]

    @property
    def is_done(self) -> bool:
        return not images_in_ecr(self.images) or previous_output("tagged") == self.mark

    def add(self) -> None:
        """Before the release: what it needs may not expire while it is on its way."""
        # boto3 is slow to load, and most releases change no image
        from infra import image_tags

        with self._report_errors():
            image_tags.keep(self.images, self.owner)

    def settle(self) -> bool:
        """After it: those that no kept release needs any more lose their tags. Whether all tags are right."""
        from infra import image_tags

        with self._report_errors():
            kept_images = ask(self.target, "releases").get("images")
            if kept_images is not None:
                image_tags.keep_only({*kept_images, *self.images}, self.owner)
            return True
        return False

    @contextmanager
    def _report_errors(self) -> Generator[None]:
        try:
            yield
        except InfraError as error:
            self.say(
                f"{error}; a release's images are tagged to protect them from the registry's clean-up, which needs "
                f"{RIGHTS}. Untagged, they may expire once {NEWEST} newer ones were pushed"
            )


@dataclass
class Delivery(Work):
    """`host` is known once the request was read, `job` once the host may have begun it."""

    host: str = ""
    job: delivery.Job | None = None
    is_interrupted: bool = False

    def do(self, say: Say) -> WorkOutcome:
        delivered = self.deliver(json.load(sys.stdin), say)
        return WorkOutcome(delivered["code"], delivered["line"], limit_outcome(delivered))

    def deliver(self, request: ReleaseRequest, say: Say) -> Delivered:
        """How it ended. A host that cannot be talked to is a refusal: nothing was touched."""
        target = Target(**request["target"])
        self.host = target.host
        look = partial(outside.complaint, target.address, request["roots"])
        delivered: Delivered
        tags = ImageTags(target, request["images"], request["owner"], say)
        try:
            planned = previous_output("release")
            base = settle_base(target, planned, look, say)
            if not tags.is_done:
                tags.add()
            only = json.loads(os.environ.get(DEPLOYING) or "{}").get("services", [])
            self.job = delivery.sending(target, delivery.Delivery(request, base, only), look, say)
            # While the host works: what it looks like from outside is asked last
            threading.Thread(target=import_module, args=("infra.http2",), daemon=True).start()
            self.job.on_sending = lambda id: unfinished_jobs.remember(
                target, Unfinished(id, request["release"], planned)
            )
            delivered = cast(Delivered, {**self.job.run()})
        except InfraError as error:
            line = f"refused on {target.host}, nothing touched: {error}"
            delivered = {"outcome": "refused", "code": REFUSED, "line": line}
        if self.job and self.job.is_sent and delivered["outcome"] != "unknown" and not self.is_interrupted:
            unfinished_jobs.forget(target)
        if not delivered["code"] and (tags.is_done or tags.settle()):
            delivered["tagged"] = tags.mark
        return delivered

    def on_interrupt(self) -> str:
        if not (self.job and self.job.is_sent):
            return ""
        self.is_interrupted = True
        return f"interrupted: waiting until the release on {self.host} ends; Ctrl-C once more leaves it to the host"

    def after_interrupt(self, outcome: WorkOutcome) -> str:
        if outcome.code:
            return f"{outcome.line} (interrupted)"
        return f"{outcome.line}. Pulumi was interrupted and recorded it as failed; the next pulumi up corrects that"

    def interruption_line(self) -> str:
        if self.job and self.job.is_sent:
            return (
                f"interrupted on {self.host}: job {self.job.id} continues there until it is applied or rolled back; "
                "the next pulumi up follows it to its end, and infra releases shows how it ended"
            )
        return f"refused on {self.host or 'the host'}, nothing touched: interrupted before anything was sent"


def settle_base(target: Target, planned: str | None, look: OutsideLook, say: Say) -> str | None:
    """The release that this update is planned from, once a job that an interrupted update left has ended."""
    job = unfinished_jobs.read_job(target)
    if job is None:
        return planned
    say(f"an interrupted update left job {job.id} on {target.host}: following it to its end")
    try:
        outcome = delivery.following(target, job.id, look, say).run()
        say(f"job {job.id}: {outcome['line']}")
        current = ask(target, "releases").get("current")
    except InfraError:
        # What is wrong with the host is said by what is sent next
        return planned
    # It was planned from what Pulumi knows, and was ours: no other update lies between
    return job.release if planned == job.base and current == job.release else planned


if __name__ == "__main__":
    run(Delivery())
