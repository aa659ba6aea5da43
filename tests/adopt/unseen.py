"""What no host can say of each system."""


def of(unit: str, *fields: str) -> set[str]:
    """The purpose of a unit is its description, and only in its own language."""
    return {f"{unit}: {field}" for field in ("purpose", "purpose_ja", *fields)}


WHISPER = {
    # Which variant it is cannot be seen; the files that it reads are not found out, and so not what one of them limits
    "document", "variant", "data", *of("whisper-backend.service", "port_exception", "files", "artefact", "needs", "routes"),
}  # fmt: skip
RECALL = {"document", *of("recall-api.service", "files", "artefact", "needs", "health")}
TOTTON = {
    "document", "milestones", *of("totton-audio-gadget.service", "name", "artefact", "needs"),
    # The same limit in another place: as a memory limit, beside which can stand what was seen in use
    *of("gpu-upsampler.service", "name", "artefact", "memory.limit", "directives.Service.MemoryMax"),
    *of("totton-audio-web.service", "name", "role", "port_exception", "health", "artefact", "needs"),
    *of("totton-audio-web.service", "memory.limit", "directives.Service.MemoryMax"),
}  # fmt: skip
VOCODER = {
    "document", *of("vocoder.service", "artefact"), *of("vocoder-monitor.timer", "files", "needs"),
    # Instances come in the order of their names
    *of("vocoder@.service", "instances", "memory.limit", "directives.Service.MemoryMax"),
}  # fmt: skip
