"""Variants of a system, such as one for machines with a GPU: what differs, laid over what all have in common.

    variants:
      gpu: {services: {whisper-backend: {environment: {WHISPER_CUBLAS: "1"}}}, enables: [nvidia-persistenced.service]}
      cpu: {}

The first one is the default; the stack's configuration chooses another (`infra:variants: {whisper: cpu}`).
"""

from typing import Any

from catalogue.shapes import is_list, is_mapping


def apply_variant(data: Any, choice: str | None) -> Any:
    """The system's data with one variant laid over it. Raises ValueError, saying what is allowed."""
    if not is_mapping(data) or "variants" not in data:
        if choice:
            raise ValueError("it has no variants")
        return data
    variants: Any = data["variants"]
    if not is_mapping(variants) or not variants:
        raise ValueError("variants: a mapping with one entry for each")
    name = choice or next(iter(variants))
    if name not in variants:
        raise ValueError(f"variants: {', '.join(variants)}")
    overlay: Any = variants[name] or {}
    services: Any = overlay.get("services") or {} if is_mapping(overlay) else None
    if not is_mapping(overlay) or not is_mapping(services):
        raise ValueError(f"variants: {name}: a mapping such as {{services: {{NAME: {{environment: {{…}}}}}}}}")
    patch = {key: value for key, value in overlay.items() if key != "services"}
    rest = {key: value for key, value in data.items() if key != "variants"}
    common: Any = rest.get("services", [])
    if not is_list(common):
        return {**rest, "variant": name}
    unknown = set(services) - {service.get("name") for service in common if is_mapping(service)}
    if unknown:
        raise ValueError(f"variant {name} changes the service {min(unknown)!r}, which the system does not have")
    merged = [
        _over(service, services.get(service.get("name", ""))) if is_mapping(service) else service for service in common
    ]
    return {**_over(rest, patch), "services": merged, "variant": name}


def _over(base: Any, patch: Any) -> Any:
    """Mappings are laid over each other key by key; anything else is replaced."""
    if patch is None:
        return base
    if is_mapping(base) and is_mapping(patch):
        return {**base, **{key: _over(base[key], value) if key in base else value for key, value in patch.items()}}
    return patch
