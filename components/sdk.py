"""Makes Pulumi's SDKs load faster.

Each package of its AWS SDK imports all of its hundreds of modules, half a second of every preview. Here a package gives
a class out of the class's own module, and loads as a whole only for a name that it does not find this way. The SDK
also sends some thousand debug messages to the engine, one after the other and each awaited, shown or not.
"""

import gc
import importlib
import os
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pulumi
import pulumi_aws

# Set, for `pulumi up --debug`: the SDK's own messages are sent to the engine
DEBUG = "INFRA_SDK_DEBUG"
# Objects made before cycles among them are looked for; Python's 700 are too few for modules of thousands of types
COLLECTED_AFTER = 50_000
# Those that components use
PACKAGES = ("budgets", "cloudwatch", "dlm", "ebs", "ec2", "ecr", "iam", "route53", "s3", "sns", "ssm", "vpc")
ROOT = Path(pulumi_aws.__file__).parent
WORDS = re.compile(r"(?<!^)(?=[A-Z])")


def _module_of(name: str) -> str:
    """The module of a resource or function: `EipAssociation` → `eip_association`, `get_ami_output` → `get_ami`."""
    return WORDS.sub("_", name).lower().removesuffix("_output")


def _lean(package: str) -> ModuleType:
    full = f"{pulumi_aws.__name__}.{package}"
    module_made = ModuleType(full)
    module_made.__path__ = [str(ROOT / package)]
    module_made.__package__ = full

    def find(name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name == "outputs":
            return importlib.import_module(f"{full}.{name}")
        inputs = ("_inputs",) if name.endswith("Args") else ()
        for module in (*inputs, _module_of(name)):
            if (ROOT / package / f"{module}.py").exists():
                loaded = importlib.import_module(f"{full}.{module}")
                # A function's module has its name, and has just taken its place
                if hasattr(loaded, module):
                    setattr(module_made, module, getattr(loaded, module))
                member = getattr(loaded, name, None)
                if member is not None:
                    setattr(module_made, name, member)
                    return member
        return getattr(_whole(full), name)

    module_made.__getattr__ = find  # type: ignore[method-assign]
    return module_made


def _whole(full: str) -> ModuleType:
    """The package as it is, for whatever cannot be found in one of its modules."""
    sys.modules.pop(full)
    module = importlib.import_module(full)
    setattr(pulumi_aws, full.rpartition(".")[2], module)
    return module


def install() -> None:
    """From here on the packages are lean ones, but for those that are loaded already, and the SDK is quiet."""
    gc.set_threshold(COLLECTED_AFTER, *gc.get_threshold()[1:])
    if not os.environ.get(DEBUG):
        pulumi.log.debug = _unsent
    for package in PACKAGES:
        full = f"{pulumi_aws.__name__}.{package}"
        if not _is_loaded(sys.modules.get(full)):
            sys.modules[full] = _lean(package)
            setattr(pulumi_aws, package, sys.modules[full])


def _unsent(msg: str, *_: object, **__: object) -> None:
    """In place of `pulumi.log.debug`."""


def _is_loaded(module: ModuleType | None) -> bool:
    # The SDK's own stand-in for a package that was not asked for yet is of another type
    return module is not None and type(module) is ModuleType
