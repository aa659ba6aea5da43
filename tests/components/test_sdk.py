"""The lean packages of the SDK give what the whole ones have, and load nothing else."""

import ast
import json
import os
import sys

import pytest

from tests.support import ROOT, execute

FILES = [ROOT / "__main__.py", *(ROOT / "components").glob("*.py")]


def used() -> set[tuple[str, str]]:
    """(package, name) of all that the program takes from `aws`."""
    found = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Attribute(value=ast.Attribute(value=ast.Name(id="aws"), attr=package), attr=name):
                    found.add((package, name))
    return found


def asked(script: str) -> list[str]:
    ran = execute(sys.executable, "-c", f"import json, sys\n{script}", cwd=ROOT)
    return json.loads(ran.stdout)


NAMES = sorted(used())
GIVE = f"import pulumi_aws as aws\nfound = [getattr(getattr(aws, p), n) for p, n in {NAMES!r}]\n"
WHERE = "print(json.dumps([f'{one.__module__}.{one.__qualname__}' for one in found]))"


@pytest.mark.nightly
def test_lazy_and_full_imports_give_the_same_names():
    assert len(NAMES) > 30
    assert asked(f"import components\n{GIVE}{WHERE}") == asked(f"{GIVE}{WHERE}")


def test_unused_modules_of_the_sdk_are_not_loaded():
    loaded = "print(json.dumps([name for name in sys.modules if name.startswith('pulumi_aws.ec2.')]))"
    lean, whole = asked(f"import components\n{GIVE}{loaded}"), asked(f"{GIVE}{loaded}")
    assert "pulumi_aws.ec2.ami" in whole and "pulumi_aws.ec2.ami" not in lean
    assert len(lean) < len(whole) / 3


@pytest.mark.parametrize("name", ["Ami", "get_ami", "AmiEbsBlockDeviceArgs", "outputs"])
def test_unlisted_names_of_the_sdk_are_available(name):
    script = f"import components, pulumi_aws as aws\nprint(json.dumps([repr(aws.ec2.{name})]))"
    assert name.lower() in asked(script)[0].lower()


def test_unknown_name_raises_an_attribute_error():
    script = "import components, pulumi_aws as aws\nprint(json.dumps([hasattr(aws.ec2, 'Nowhere'), hasattr(aws.ec2, 'Ami')]))"
    assert asked(script) == [False, True]


@pytest.mark.parametrize(("environment", "sent"), [({}, []), ({"INFRA_SDK_DEBUG": "1"}, ["shown"])])
def test_debug_messages_are_sent_only_where_they_are_asked_for(environment, sent):
    script = (
        "import json, components, pulumi\n"
        "from pulumi.runtime import settings\n"
        "messages = []\n"
        "class Engine:\n    def Log(self, request): messages.append(request.message)\n"
        "settings.get_engine = lambda: Engine()\n"
        "pulumi.log.debug('shown')\npulumi.log.warn('warned')\nprint(json.dumps(messages))"
    )
    ran = execute(sys.executable, "-c", script, cwd=ROOT, env={**os.environ, **environment})
    assert json.loads(ran.stdout) == [*sent, "warned"]
