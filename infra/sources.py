"""`python -m infra.sources`: the values of secrets that the stack's file does not hold, asked of AWS or of a command
with the rights of the person or CI run that runs the program. The request is JSON on standard input, the answer JSON
on standard output: neither is a word of a command line."""

import json
import os
import subprocess
import sys
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import TypeAdapter

from catalogue.environment import unwritable
from catalogue.pem import is_pem
from catalogue.problems import Problem
from catalogue.sources import AnySource, Source, SourcesAnswer, SourcesRequest
from catalogue.stack import PROJECT, Stack
from infra import aws
from infra.errors import InfraError
from infra.foreign import one_line

AT_ONCE = 8
LIMIT = 60  # seconds for a command
WORDS = 300  # characters of its complaint

Values = dict[str, dict[str, str]]


def resolve_values(stack: Stack, present: Mapping[str, Collection[str]]) -> Values:
    """Group → name → value, of those that are not `present` already. Raises InfraError naming each that has none."""
    references = [
        (group, name, source)
        for group, names in stack.secretsFrom.items()
        for name, source in names.items()
        if name not in present.get(group, ())
    ]
    values: Values = {}
    wrong: list[str] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(partial(_ask_source, stack), [source for _, _, source in references])
        for (group, name, source), answer in zip(references, answers, strict=True):
            if isinstance(answer, InfraError):
                wrong.append(f"{PROJECT}:secretsFrom.{group}.{name} ({source}): {answer}")
            else:
                values.setdefault(group, {})[name] = answer
    if wrong:
        raise InfraError("\n".join(wrong))
    return values


def problems(stack: Stack) -> list[Problem]:
    """The references that have no value now, one for each; what the others answer is forgotten."""
    try:
        resolve_values(stack, {})
    except InfraError as error:
        rule = "an update asks for it: check the permissions, the name and the login"
        parts = [line.partition(" (") for line in str(error).splitlines()]
        return [Problem(stack.file, where, f"({reason}", rule) for where, _, reason in parts]
    return []


def _ask_source(stack: Stack, source: Source) -> str | InfraError:
    try:
        value = _command(source.command) if source.command else _of_aws(stack, source)
        if not value:
            raise InfraError("it is empty")
        # Certificates and keys are texts, which a rule looks at
        if not is_pem(value) and (fault := unwritable(value)):
            raise InfraError(f"the value has {fault}, which an environment file cannot hold")
        return value
    except InfraError as error:
        return error


def _of_aws(stack: Stack, source: Source) -> str:
    try:
        if source.ssm:
            client = aws.client("ssm", stack.region)
            return client.get_parameter(Name=source.ssm, WithDecryption=True)["Parameter"]["Value"]
        # An ARN names its own region
        parts = source.secretsmanager.split(":")
        client = aws.client("secretsmanager", parts[3] if parts[0] == "arn" else stack.region)
        text = client.get_secret_value(SecretId=source.secretsmanager).get("SecretString")
    except ClientError as error:
        fault = error.response.get("Error", {})
        raise InfraError(
            f"AWS in {stack.region} says {fault.get('Code', '?')}: {one_line(fault.get('Message', ''))}"
        ) from None
    except BotoCoreError as error:
        raise InfraError(one_line(str(error))) from None
    if text is None:
        raise InfraError("it is binary, and a secret is a text")
    if not source.key:
        return text
    try:
        value = json.loads(text)[source.key]
    except (ValueError, TypeError, LookupError, RecursionError):
        raise InfraError(f"it is no JSON object with the key {source.key}") from None
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise InfraError(f"its {source.key} is no text")
    return str(value)


def _command(words: list[str]) -> str:
    """What it prints, without the line's end."""
    try:
        # The engine gives its programs the whole configuration
        own = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_CONFIG")}
        ran = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, check=False, env=own)
    except subprocess.TimeoutExpired:
        raise InfraError(f"did not finish within {LIMIT} s: does it wait for input?") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no command can be called so"
        raise InfraError(f"{words[0]!a} cannot be started: {reason}") from None
    if ran.returncode:
        lines = ran.stderr.decode(errors="replace").strip().splitlines()
        raise InfraError(f"exit code {ran.returncode}: {one_line((lines or ['no reason given'])[-1])[:WORDS]}")
    try:
        return ran.stdout.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise InfraError("it prints no text") from None


def main() -> None:
    """Answers a request on standard input."""
    request: SourcesRequest = json.load(sys.stdin)
    answer: SourcesAnswer
    try:
        answer = {"values": resolve_values(stack_of(request), request["given"])}
    except InfraError as error:
        answer = {"wrong": str(error)}
    json.dump(answer, sys.stdout)


def stack_of(request: SourcesRequest) -> Stack:
    """A stack with the fields that are needed here, and no others."""
    form: TypeAdapter[dict[str, dict[str, Source]]] = TypeAdapter(dict[str, dict[str, AnySource]])
    return Stack.model_construct(region=request["region"], secretsFrom=form.validate_python(request["sources"]))


if __name__ == "__main__":
    main()
