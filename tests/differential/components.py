"""Cases of one component with functions of random types: ``pass``, ``echo``, ``catch`` and ``raw`` (see ``bodies``)."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.differential.bodies import (
    ENCODINGS,
    Function,
    catching,
    echo_type,
    echoing,
    lifting,
    passing,
    sending,
    with_mode,
)
from tests.differential.case import Call, Case
from tests.differential.generate import TypeMaker
from tests.differential.kit import Kit

__all__ = ("VALUE_MAKERS",)


def _case(category: str, kit: Kit, functions: list[Function], each: int, rng: random.Random | None) -> Case:
    """``rng``: make realloc and post-return misbehave now and then."""
    case = Case(category, kit.text, kit.imports, kit.exports)
    for function in functions:
        for _ in range(each):
            call = function.call()
            case.calls += [call] if rng is None else with_mode(rng, call)
    case.calls.append(Call("posts"))
    return case


def pass_case(rng: random.Random) -> Case:
    kit, make, functions = Kit(), TypeMaker(rng), []
    for number in range(5):
        kit.owner = f"pass{number}"
        functions.append(passing(rng, kit, kit.owner, make.function(), f"h{number}"))
    return _case("pass", kit, functions, 4, rng)


def echo_case(rng: random.Random) -> Case:
    kit, make, functions = Kit(), TypeMaker(rng), []
    for number in range(5):
        kit.owner = f"echo{number}"
        functions.append(echoing(rng, kit, kit.owner, echo_type(rng, make)))
    return _case("echo", kit, functions, 4, rng)


def catch_case(rng: random.Random) -> Case:
    kit, make, functions = Kit(), TypeMaker(rng), []
    for number in range(5):
        kit.owner = f"catch{number}"
        functions.append(catching(rng, kit, kit.owner, make.function(result=False).params))
    return _case("catch", kit, functions, 4, rng)


def raw_case(rng: random.Random) -> Case:
    kit, make, functions = Kit(), TypeMaker(rng), []
    for number in range(3):
        kit.owner = f"lift{number}"
        functions.append(lifting(rng, kit, kit.owner, make.type(), rng.choice(ENCODINGS)))
    for number in range(3):
        kit.owner = f"send{number}"
        functions.append(sending(rng, kit, kit.owner, make.function(), f"h{number}", rng.choice(ENCODINGS)))
    return _case("raw", kit, functions, 8, None)


VALUE_MAKERS: dict[str, Callable[[random.Random], Case]] = {
    "pass": pass_case,
    "echo": echo_case,
    "catch": catch_case,
    "raw": raw_case,
}
