"""ECR's API over the lab's registries; moto has the repositories. The data plane is lab/cloud/ecr.py."""

import base64
import hashlib
import json
from types import SimpleNamespace
from typing import Any

from moto.backends import get_backend
from moto.ecr.exceptions import ImageAlreadyExistsException, ImageNotFoundException
from moto.ecr.models import ECRBackend
from moto.ecr.responses import ECRResponse

from lab import registry
from lab.settings import ACCOUNT, Lab


def show_images_of(lab: Lab) -> None:
    """ECR lists, tags and deletes what is in the lab's registries: images are pushed there, and not to moto."""

    def list_images(self: Any, repository_name: str, *arguments: Any, **options: Any) -> list[Any]:
        list_all(self, repository_name, *arguments, **options)
        digest_of = registry.tags(lab, self.region_name, repository_name)
        return [SimpleNamespace(image_tags=[tag], image_digest=digest) for tag, digest in digest_of.items()]

    def describe_images(self: Any, repository_name: str, registry_id: Any = None, image_ids: Any = None) -> list[Any]:
        self._get_repository(repository_name, registry_id)
        digest_of = registry.tags(lab, self.region_name, repository_name)
        images = [SimpleNamespace(image_tags=[tag], image_digest=digest) for tag, digest in digest_of.items()]
        names = [id.get("imageTag") or id.get("imageDigest") for id in image_ids or []]
        for name in names:
            if name not in digest_of and name not in digest_of.values():
                raise ImageNotFoundException(name, repository_name, ACCOUNT)
        return [image for image in images if not names or {*image.image_tags, image.image_digest} & set(names)]

    def batch_get_image(self: Any, repository_name: str, registry_id: Any = None, image_ids: Any = None) -> Any:
        self._get_repository(repository_name, registry_id)
        answer: dict[str, Any] = {"images": [], "failures": []}
        for image_id in image_ids:
            manifest = registry.manifest(
                lab, self.region_name, repository_name, image_id.get("imageDigest") or image_id["imageTag"]
            )
            if manifest is None:
                answer["failures"].append({"imageId": image_id, "failureCode": "ImageNotFound"})
            else:
                answer["images"].append(_image(repository_name, manifest, image_id.get("imageTag")))
        return answer

    def put_image(  # noqa: PLR0913 moto calls it with all of these
        self: Any, repository_name: str, text: str, tag: str, kind: str | None = None, digest: str | None = None
    ) -> Any:
        self._get_repository(repository_name, None)
        kind = kind or str(json.loads(text)["mediaType"])
        digest = digest or f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        if registry.tags(lab, self.region_name, repository_name).get(tag) == digest:
            raise ImageAlreadyExistsException(repository_name, self.account_id, digest, tag)
        manifest = registry.Manifest(digest, kind, text)
        registry.put_tag(lab, self.region_name, repository_name, tag, manifest)
        return _image(repository_name, manifest, tag)

    def batch_delete_image(self: Any, repository_name: str, registry_id: Any = None, image_ids: Any = None) -> Any:
        self._get_repository(repository_name, registry_id)
        for image_id in image_ids:
            registry.untag(lab, self.region_name, repository_name, image_id["imageTag"])
        return {"imageIds": image_ids, "failures": []}

    def delete_repository(self: Any, repository_name: str, *arguments: Any, **options: Any) -> Any:
        answer = delete_one(self, repository_name, *arguments, **options)
        registry.forget(lab, self.region_name, repository_name)
        return answer

    list_all, delete_one = ECRBackend.list_images, ECRBackend.delete_repository
    ECRBackend.list_images = list_images  # type: ignore[method-assign]
    ECRBackend.describe_images = describe_images  # type: ignore[method-assign]
    ECRBackend.delete_repository = delete_repository  # type: ignore[method-assign]
    ECRBackend.batch_get_image = batch_get_image  # type: ignore[method-assign]
    ECRBackend.put_image = put_image  # type: ignore[method-assign]
    ECRBackend.batch_delete_image = batch_delete_image  # type: ignore[method-assign]


def _image(repository: str, manifest: registry.Manifest, tag: str | None) -> dict[str, Any]:
    return {
        "registryId": ACCOUNT,
        "repositoryName": repository,
        "imageManifest": manifest.text,
        "imageManifestMediaType": manifest.kind,
        "imageId": {"imageDigest": manifest.digest, **({"imageTag": tag} if tag else {})},
    }


def has_repository(region: str, name: str) -> bool:
    return name in get_backend("ecr")[ACCOUNT][region].repositories


def hand_out_tokens_of(lab: Lab) -> None:
    """ECR's logins are those that the lab's registries take."""

    def get_authorization_token(self: Any) -> Any:
        answer = original(self)
        password = registry.token(lab)
        login = base64.b64encode(f"{registry.USER}:{password}".encode()).decode()
        result: Any = answer.result
        for entry in result["authorizationData"]:
            entry["authorizationToken"] = login
            entry["expiresAt"] = registry.expiry(password)
        return answer

    original = ECRResponse.get_authorization_token
    ECRResponse.get_authorization_token = get_authorization_token  # type: ignore[method-assign]
