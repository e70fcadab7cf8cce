"""What the three packages offer: every public module says so itself, and the front door opens."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import airssys_security
import airssys_supervisors
import pytest

import airssys_actors

PACKAGES = (airssys_actors, airssys_security, airssys_supervisors)


def public_modules() -> Iterator[str]:
    for package in PACKAGES:
        yield package.__name__
        for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not any(part.startswith("_") for part in found.name.split(".")):
                yield found.name


def in_order(name: str) -> tuple[int, list[str | int]]:
    """Constants, then types, then the rest, numbers in names as numbers: the order that ruff keeps."""
    parts: list[str | int] = [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, parts)


def only_says_what_it_is_for(module: ModuleType) -> bool:
    """Tell whether this is a package without a word of code."""
    return hasattr(module, "__path__") and len(ast.parse(inspect.getsource(module)).body) == 1


@pytest.mark.parametrize("name", list(public_modules()))
def test_public_module_names_what_it_offers(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, "it has no docstring"
    if only_says_what_it_is_for(module):
        return
    offered = module.__all__
    assert isinstance(offered, tuple)
    assert list(offered) == sorted(offered, key=in_order)
    assert len(set(offered)) == len(offered)
    for each in offered:
        assert hasattr(module, each), f"{each} is not there"


def test_front_door_offers_what_it_says_and_nothing_else() -> None:
    assert set(airssys_actors.__all__) <= set(dir(airssys_actors))
    with pytest.raises(AttributeError, match="no attribute 'Manager'"):
        airssys_actors.Manager  # noqa: B018


def test_package_alone_loads_neither_engine_nor_host() -> None:
    program = (
        "import sys, airssys_actors.errors; print('wasmtime' in sys.modules, 'airssys_actors.host' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
