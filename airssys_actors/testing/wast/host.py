"""What the host offers to the components of every script: the instance ``host`` and two functions.

wasmtime's own scripts import these by these names and rely on what they do; the specification's scripts import nothing.
Each script has a host of its own, so that the counts start at zero.
"""

from __future__ import annotations

from typing import Final

from airssys_actors.engine.host import HostFunction, HostInterface

__all__ = ("Host", "HostResource")

# The instance declares no types: the scripts call its parameters by several names, and wasmtime compares no names here.
_WIT: Final = """
package test:scripts;

world host {
  import host-return-two: func() -> u32;
  import host-echo-u32: func(v: u32) -> u32;
}
"""


class HostResource:
    """A resource of the host's; ``rep`` is the number it was made with."""

    def __init__(self, rep: int) -> None:
        self.rep = rep

    def __repr__(self) -> str:
        return f"<HostResource {self.rep}>"


class Host:
    """Counts how often a guest dropped a ``resource1``, and remembers which was last."""

    def __init__(self) -> None:
        self.drops = 0
        self.last_drop = 0
        self.counts = True
        """False while instances are given up: what they still own then is not dropped by a guest."""

    def interfaces(self) -> tuple[HostInterface, ...]:
        """What a component may import from the host."""
        functions = {
            "return-three": HostFunction(lambda _owner: 3),
            "return-hi": HostFunction(lambda _owner: "hi"),
            "[constructor]resource1": HostFunction(lambda _owner, rep: HostResource(rep)),
            "[static]resource1.assert": HostFunction(_check),
            "[static]resource1.last-drop": HostFunction(lambda _owner: self.last_drop),
            "[static]resource1.drops": HostFunction(lambda _owner: self.drops),
            "[method]resource1.simple": HostFunction(_check),
            "[method]resource1.take-borrow": HostFunction(lambda _owner, _one, _other: None),
            "[method]resource1.take-own": HostFunction(lambda _owner, _one, _other: None),
        }
        resources = {"resource1": self._dropped, "resource2": None, "resource1-again": None}
        return (
            HostInterface(
                "",
                (),
                {
                    "host-return-two": HostFunction(lambda _owner: 2),
                    "host-echo-u32": HostFunction(lambda _owner, value: value),
                },
                wit=_WIT,
            ),
            HostInterface("host", (), functions, resources),
            HostInterface("host/nested", (), {"return-four": HostFunction(lambda _owner: 4)}),
        )

    def _dropped(self, _owner: object, thing: HostResource) -> None:
        if self.counts:
            self.drops += 1
            self.last_drop = thing.rep


def _check(_owner: object, resource: HostResource, rep: int) -> None:
    if resource.rep != rep:
        raise AssertionError(f"the script expects resource1 number {rep}; {resource} came")
