"""For all tests of the agent: on a host in memory everything happens one after the other, so that a kill at its third
change is one at the same change every time; and its locks are not this machine's, which other tests hold."""

from concurrent.futures import Executor, Future
from types import SimpleNamespace

import pytest

from agent import artefacts, health, images, validate
from tests.agent.locks import use_own_locks

LOGIN = {"auth": "bG9naW4="}
AT_ONCE = (health, images, validate)


class OneByOne(Executor):
    """A pool without threads."""

    def __init__(self, size: int) -> None:
        pass

    def submit(self, fn, /, *args, **kwargs):
        done = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done


@pytest.fixture(autouse=True)
def _one_by_one(monkeypatch):
    for module in AT_ONCE:
        monkeypatch.setattr(module, "ThreadPoolExecutor", OneByOne)


@pytest.fixture(autouse=True)
def _login(monkeypatch):
    """AWS gives every host a login for its registry."""
    monkeypatch.setattr(artefacts, "ecr", SimpleNamespace(auths=lambda world, hosts: dict.fromkeys(hosts, LOGIN)))


@pytest.fixture(autouse=True)
def _own_locks(monkeypatch, tmp_path_factory):
    use_own_locks(monkeypatch, tmp_path_factory.getbasetemp())
