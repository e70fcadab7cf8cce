"""Read canonical definitions: functions lifted and lowered, with their options, and the resource built-ins.

Each belongs to the component instance that it stands in, which gets its place, and so a table of handles, by it.
"""

from __future__ import annotations

from typing import Final, Literal

from airssys_actors.engine.binary import Reader
from airssys_actors.engine.decode_scope import Scope
from airssys_actors.engine.decode_types import TypeReader
from airssys_actors.engine.decode_unsupported import UNSUPPORTED_CANONICALS, UNSUPPORTED_OPTIONS, unsupported
from airssys_actors.engine.plan import LiftedFunc, Lowered, Options, Plan, ResourceBuiltin, StringEncoding
from airssys_actors.engine.types import FuncType

__all__ = ("CanonicalReader",)

_MOST_PLACES = 100
_ENCODINGS: Final[tuple[StringEncoding, ...]] = ("utf8", "utf16", "latin1+utf16")
_RESOURCE_OPERATIONS: Final[dict[int, Literal["new", "drop", "rep"]]] = {2: "new", 3: "drop", 4: "rep"}


class CanonicalReader:
    """Adds to ``plan`` and to the scope that it is given."""

    def __init__(self, plan: Plan, types: TypeReader) -> None:
        self._plan, self._types = plan, types

    def place(self, reader: Reader, scope: Scope) -> int:
        """The number of the component instance that ``scope`` describes: given when it first needs one."""
        if scope.place is None:
            if self._plan.places >= _MOST_PLACES:
                raise reader.invalid(f"more than {_MOST_PLACES} component instances with code")
            scope.place = self._plan.places
            self._plan.places += 1
        return scope.place

    def _options(self, reader: Reader, scope: Scope, *, lifting: bool) -> Options:
        options = Options()
        seen: set[str] = set()
        for _ in range(reader.count()):
            start = reader.offset
            code = reader.byte()
            if code < 3:
                what = "string encoding"
                options.encoding = _ENCODINGS[code]
            elif code == 3:
                what = "memory"
                options.memory = scope.core_at(reader, "memory")
            elif code == 4:
                what = "realloc"
                options.realloc = scope.core_at(reader, "func")
            elif code == 5:
                what = "post-return"
                options.post_return = scope.core_at(reader, "func")
                if not lifting:
                    raise reader.invalid("post-return belongs to lifting, not to lowering", start)
            elif code in UNSUPPORTED_OPTIONS:
                raise unsupported(UNSUPPORTED_OPTIONS[code])
            else:
                raise reader.invalid(f"{code:#04x} is no canonical option", start)
            if what in seen:
                raise reader.invalid(f"the canonical option {what} is given twice", start)
            seen.add(what)
        if options.realloc is not None and options.memory is None:
            raise reader.invalid("the canonical option realloc is given without memory")
        return options

    def read(self, reader: Reader, scope: Scope) -> None:
        """Read one canonical definition into ``scope``."""
        place = self.place(reader, scope)
        start = reader.offset
        code = reader.byte()
        if code == 0x00:
            reader.expect(0x00, "the sort of what is lifted")
            core = scope.core_at(reader, "func")
            options = self._options(reader, scope, lifting=True)
            type_ = self._types.type_at(reader, scope, reader.u32(), start)
            if not isinstance(type_, FuncType):
                raise reader.invalid("a function is lifted to a type that is not a function's", start)
            self._types.charge_function(reader, type_)
            scope.funcs.append(LiftedFunc(type_, core, options, place))
        elif code == 0x01:
            reader.expect(0x00, "the sort of what is lowered")
            function = scope.func_at(reader)
            options = self._options(reader, scope, lifting=False)
            self._types.charge_function(reader, function.type, between=isinstance(function, LiftedFunc))
            scope.core["func"].append(Lowered(function, options, place))
        elif code in _RESOURCE_OPERATIONS:
            operation = _RESOURCE_OPERATIONS[code]
            resource = self._types.resource(reader, scope)
            if operation != "drop" and resource.place != place:
                raise reader.invalid(f"resource.{operation} of a resource that is imported", start)
            scope.core["func"].append(ResourceBuiltin(operation, resource, place))
        elif code in UNSUPPORTED_CANONICALS:
            raise unsupported(f"the canonical function {UNSUPPORTED_CANONICALS[code]}")
        else:
            raise reader.invalid(f"{code:#04x} is no canonical function", start)
