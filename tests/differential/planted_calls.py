"""Wrong variants of the rules for calls and handles, by name."""

from __future__ import annotations

from tests.differential.planting import Planted

__all__ = ("PLANTED_IN_CALLS",)

_PASSING, _FUNCTIONS, _FUSED, _MEMORY = "abi/passing.py", "abi/functions.py", "abi/fused.py", "abi/memory_source.py"
_PLAIN = "plain_call.py"

_WHOLES = (
    Planted(
        "where parameters lie is not looked at", "raw", _PASSING,
        "lifter.bounds(\"p\", size(whole), alignment(whole))", "pass",
    ),
    Planted(
        "parameters may lie unaligned", "raw", _PASSING,
        "lifter.bounds(\"p\", size(whole), alignment(whole))", "lifter.bounds(\"p\", size(whole))",
    ),
    Planted(
        "where parameters are put is not looked at", "echo catch pass", _PASSING,
        "lowerer.bounds(\"p\", size(whole), alignment(whole))", "pass",
    ),
    Planted(
        "parameters may be put unaligned", "echo catch pass", _PASSING,
        "lowerer.bounds(\"p\", size(whole), alignment(whole))", "lowerer.bounds(\"p\", size(whole))",
    ),
    Planted(
        "where a result lies is not looked at", "raw", _PASSING,
        "lifter.bounds(\"p\", size(kind.result), alignment(kind.result))", "pass",
    ),
    Planted(
        "a result may lie unaligned", "raw", _PASSING,
        "lifter.bounds(\"p\", size(kind.result), alignment(kind.result))", "lifter.bounds(\"p\", size(kind.result))",
    ),
    Planted(
        "where a result is put is not looked at", "raw", _PASSING,
        "lowerer.bounds(\"ret\", size(kind.result), alignment(kind.result))", "pass",
    ),
    Planted(
        "a result may be put unaligned", "raw", _PASSING,
        "lowerer.bounds(\"ret\", size(kind.result), alignment(kind.result))",
        "lowerer.bounds(\"ret\", size(kind.result))",
    ),
    Planted(
        "the memory ends one byte later", "raw pass", _MEMORY,
        "if {pointer} + {length} > len(mem):", "if {pointer} + {length} > len(mem) + 1:",
    ),
    Planted(
        "the memory ends one byte earlier", "raw pass echo", "instance.py", "if need > len(view):",
        "if need >= len(view):",
    ),
)  # fmt: skip

_CALLS = (
    Planted(
        "post-return is not called", "pass catch", "glue.py",
        "self._locked_in([*given, self.call(post_return, (results, ()))])", "[]",
    ),
    Planted(
        "post-return gets nothing that was freed", "pass catch", "glue.py",
        "code += self._locked_in([*given, self.call(post_return",
        "code += self._locked_in([*given, *([b'\x45'] if list(results) == ['i32'] else []), self.call(post_return",
    ),
    Planted(
        "a guest may leave from its post-return", "pass", "callbacks.py",
        "current.locked = post_return", "current.locked = False",
    ),
    Planted(
        "a guest may leave from its realloc", "pass echo", "border.py",
        "current.lowering = lowering\n            current.locked = True", "current.lowering = lowering", 2,
    ),
    Planted(
        "a guest may call imports at any time", "pass", _FUNCTIONS, "if cur.locked: raise border.cannot_leave()",
        "pass",
    ),
    Planted(
        "a guest may use built-ins at any time", "pass echo", "callbacks.py",
        "if leaves and current.locked:", "if leaves and False:",
    ),
    Planted(
        "a guest may not ask for a rep at some time", "pass echo", "callbacks.py",
        "work, leaves=False)\n\n\ndef resource_drop", "work, leaves=True)\n\n\ndef resource_drop",
    ),
    Planted(
        "a guest stays locked in after its realloc", "pass", "callbacks.py",
        "current.locked = False", "current.locked = True", 2,
    ),
    Planted(
        "a component may enter itself", "reenter", "callbacks.py",
        'raise GuestTrap("cannot enter component instance")', "return 0",
    ),
    Planted(
        "a callee's post-return is not called", "compose", "glue.py",
        "            code += self._locked_in([*given, self.call(function, (inner[1], ()))])\n", "",
    ),
    Planted(
        "a callee's memory is the caller's", "compose", _FUSED,
        'f"mem = cur.mem{callee.memory}"', 'f"mem = cur.mem{caller.memory}"',
    ),
    Planted(
        "a callee's strings are as the caller's", "compose", _FUSED,
        "written = _lowerer(constants, caller, callee,",
        "written = _lowerer(constants, caller, Side(callee.memory, caller.encoding, callee.place),",
    ),
    Planted(
        "a caller's strings are as the callee's", "compose", _FUSED,
        "finished = _lowerer(constants, callee, caller,",
        "finished = _lowerer(constants, callee, Side(caller.memory, callee.encoding, caller.place),",
    ),
)  # fmt: skip

_PLAIN_CALLS = (
    Planted(
        "enums end one later between components", "compose", _PLAIN,
        "constant(len(kind.labels)), GE_U]", "constant(len(kind.labels) + 1), GE_U]",
    ),
    Planted("surrogates are chars between components", "compose", _PLAIN, "*surrogate, OR]", "*surrogate, AND]"),
    Planted("chars end one later between components", "compose", _PLAIN, "constant(0x110000)", "constant(0x110001)"),
    Planted(
        "flags keep bits that they do not have", "compose", _PLAIN,
        "constant((1 << len(kind.labels)) - 1)", "constant(0xFFFFFFFF)",
    ),
    Planted(
        "bools keep all their bits", "compose", _PLAIN,
        "return [get(local), constant(0), NE]", "return [get(local)]",
    ),
    Planted(
        "u8 and u16 keep their upper bits", "compose", _PLAIN,
        "0xFF if kind.name == \"u8\" else 0xFFFF", "0xFFFFFFFF",
    ),
    Planted(
        "s8 and s16 keep their upper bits", "compose", _PLAIN,
        "return [get(local), EXTEND_BYTE if", "return [get(local), b\"\" if",
    ),
    Planted(
        "numbers are not looked at between components", "compose", _PLAIN,
        "code += _check(leaf, local, refusals)", "pass",
    ),
    Planted(
        "a guest may call another's plain functions at any time", "compose", _PLAIN,
        "[global_get(0), IF, constant(0),", "[constant(0), IF, constant(0),",
    ),
)  # fmt: skip

_HANDLES = (
    Planted(
        "what was given away stays", "handles", "handles.py",
        "thing = self.drop(index, resource)[1]", "thing = self._entry(index, resource)[1]",
    ),
    Planted(
        "what was lent can be given away", "handles", "handles.py",
        "if not self._entry(index, resource)[0]:", "if not self._entry(index, resource)[2]:",
    ),
    Planted(
        "borrowed handles are not counted", "handles lending", "handles.py",
        "scope.borrows += 1", "scope.borrows += 0",
    ),
    Planted(
        "dropped borrows are counted on", "handles lending", "handles.py",
        "            scope.borrows -= 1\n        return owned, thing",
        "            scope.borrows -= 0\n        return owned, thing",
    ),
    Planted(
        "borrowed handles may be kept", "handles lending", "handles.py",
        "if self.borrows:", "if self.borrows > 99:",
    ),
    Planted(
        "what is lent can be dropped", "handles between", "handles.py", "if index in self._lent:", "if index in ():",
    ),
    Planted(
        "what was lent stays lent", "handles between", "handles.py",
        "        for table, index in self.lenders:\n            table.give_back(index)\n", "",
    ),
    Planted(
        "what was lent twice can be dropped after one call", "reenter", "handles.py",
        "left = self._lent[index] - 1", "left = 0",
    ),
    Planted(
        "what is lent is lent once", "reenter", "handles.py",
        "self._lent[index] = self._lent.get(index, 0) + 1", "self._lent[index] = 1",
    ),
    Planted(
        "handles of another type do", "handles", "handles.py",
        "if entry[2] is not resource:\n            wanted", "if entry[2] is None:\n            wanted",
    ),
    Planted("the handle freed first is used again", "handles", "handles.py", "self._free.pop()", "self._free.pop(0)"),
    Planted(
        "freed handles are not used again", "handles", "handles.py",
        "self._free.append(index)\n        self.key.live -= 1\n        if scope is not None:\n"
        "            scope.borrows -= 1\n        return",
        "self.key.live -= 1\n        if scope is not None:\n            scope.borrows -= 1\n        return",
    ),
    Planted(
        "handles begin with 0", "handles", "handles.py",
        "self._entries: list[_Entry | None] = [None]", "self._entries: list[_Entry | None] = []",
    ),
    Planted(
        "an implementer gets a handle for its own", "handles between", "handles.py",
        "if resource.place == self._place:", "if resource.place == -1:",
    ),
    Planted(
        "a guest's drop runs no destructor", "handles", "callbacks.py",
        "words.u32[0], words.u32[4] = (1 if owned else 0), rep", "words.u32[0], words.u32[4] = 0, rep",
    ),
    Planted(
        "dropping what was lent runs the destructor", "between", "callbacks.py",
        "words.u32[0], words.u32[4] = (1 if owned else 0), rep", "words.u32[0], words.u32[4] = 1, rep",
    ),
    Planted(
        "the host is not told of drops", "handles", "callbacks.py",
        "if owned and dropped is not None:", "if False and dropped is not None:",
    ),
    Planted(
        "the host is told when what it lent is dropped", "handles lending", "callbacks.py",
        "if owned and dropped is not None:", "if dropped is not None:",
    ),
    Planted(
        "the host's drop runs no destructor", "handles", "instance.py",
        "prepared = self._component.destructors.get(resource.resource)", "prepared = None",
    ),
    Planted(
        "what a callee was lent may be kept", "between relay", _FUSED,
        "cur.scopes.pop().end()", "cur.scopes.pop().give_back()",
    ),
)  # fmt: skip

PLANTED_IN_CALLS = (*_WHOLES, *_CALLS, *_PLAIN_CALLS, *_HANDLES)
