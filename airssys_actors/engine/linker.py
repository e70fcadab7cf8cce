"""A plan and the host's interfaces -> a program: which modules to instantiate in which order, with what.

Nothing here depends on a store, and nothing here runs guest code. Between the plan's own steps stand those of the glue
modules, each before the first step that imports from it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import partial
from typing import Any

from airssys_actors.engine.abi.functions import Side, export_code, host_code
from airssys_actors.engine.abi.fused import fused_code
from airssys_actors.engine.abi.layout import CoreType, signature
from airssys_actors.engine.abi.remembered import forget
from airssys_actors.engine.abi.rules import bad_case, bad_char
from airssys_actors.engine.border import Border
from airssys_actors.engine.callbacks import (
    Callback,
    arguments,
    cannot_enter,
    lift_result,
    lock,
    refusal,
    resource_drop,
    resource_new,
    resource_remove,
    resource_rep,
    resume,
)
from airssys_actors.engine.core_module import CoreModule, read_core_module
from airssys_actors.engine.glue import GlueModule
from airssys_actors.engine.host import HostInterface
from airssys_actors.engine.labels import Key, label_modules
from airssys_actors.engine.offer import Offer
from airssys_actors.engine.plain_call import FLAG_MODULE, is_plain, plain_call
from airssys_actors.engine.plan import (
    CoreDef,
    CoreExport,
    Export,
    ExportedInstance,
    LiftedFunc,
    Lowered,
    Options,
    Plan,
    ResourceBuiltin,
)
from airssys_actors.engine.program import HostDefinition, LinkedExport, LinkedStep, Program
from airssys_actors.engine.types import ResourceType
from airssys_actors.errors import ComponentUnsupported, GuestTrap

__all__ = ("link",)

_MOST_MEMORIES = 8
_MOST_WEIGHT = 200_000
_MOST_IMPORTS = 5_000  # of one module: wasmtime finds them without a pause
_MOST_PARTS_REMEMBERED = 10_000  # CPython with WASI has 1,200


def link(plan: Plan, interfaces: Iterable[HostInterface], border: Border) -> Program:
    """Raises ``ImportRefused`` with every import that is not offered, ``ComponentUnsupported`` by name."""
    offer = Offer(interfaces)
    offer.require(plan)
    try:
        return _Linker(plan, offer, border).program()
    except RecursionError:  # a destructor that is the drop of a resource, whose destructor is ...
        raise ComponentUnsupported("definitions that are made of each other, too deep") from None
    finally:
        if plan.parts > _MOST_PARTS_REMEMBERED:
            forget()


class _Linker:
    def __init__(self, plan: Plan, offer: Offer, border: Border) -> None:
        self._plan, self._offer, self._border = plan, offer, border
        self._modules = list(plan.modules)
        self._steps: list[LinkedStep] = []
        self._runtime_step: dict[int, int] = {}
        self._positions: dict[Key, int] = {}
        self._definitions: list[HostDefinition] = []
        self._made: dict[int, Key] = {}
        self._shared: dict[Hashable, Key] = {}
        self._memories: list[int] = []
        self._exports: dict[str, LinkedExport] = {}
        self._dropped = {
            wanted: dropped
            for wanted in plan.imports.values()
            if isinstance(wanted, ResourceType) and (dropped := offer.dropped(wanted)) is not None
        }
        self._destructors: dict[ResourceType, int] = {}
        self._flag = self._add_flag() if any(_is_plain_call(each) for each in _lowered(plan)) else None

    def program(self) -> Program:
        modules: dict[int, CoreModule] = {}
        weight = 0
        for number, step in enumerate(self._plan.steps):
            module = modules.get(step.module)
            if module is None:
                module = modules[step.module] = read_core_module(self._plan.modules[step.module])
            weight += module.weight
            if weight > _MOST_WEIGHT:
                raise ComponentUnsupported(
                    f"core instances with more than {_MOST_WEIGHT} imports, exports, globals and elements together"
                )
            if len(module.imports) > _MOST_IMPORTS:
                raise ComponentUnsupported(f"a core module with more than {_MOST_IMPORTS} imports")
            wanted = [self._argument(step.arguments[each.module], each.name) for each in module.imports]
            self._make([each for each in wanted if not isinstance(each, CoreExport)])
            self._runtime_step[number] = len(self._steps)
            self._steps.append(
                LinkedStep(
                    step.module,
                    [self._position(self._key(each)) for each in wanted],
                    module.has_start,
                )
            )
        self._lift(list(_functions(self._plan.exports)))
        definitions = [
            (definition, self._positions["host", number]) for number, definition in enumerate(self._definitions)
        ]
        return Program(
            label_modules(self._modules, self._steps, list(self._positions)),
            self._steps,
            definitions,
            self._memories,
            self._exports,
            self._dropped,
            self._destructors,
            self._plan.places,
        )

    # -- definitions and their positions

    @staticmethod
    def _argument(instance: Any, name: str) -> CoreDef:
        if isinstance(instance, int):
            return CoreExport(instance, name, "func")
        definition: CoreDef = instance[name]
        return definition

    def _key(self, definition: CoreDef) -> Key:
        if isinstance(definition, CoreExport):
            return ("step", self._runtime_step[definition.step], definition.name)
        if id(definition) not in self._made:
            self._make([definition])
        return self._made[id(definition)]

    def _position(self, key: Key) -> int:
        return self._positions.setdefault(key, len(self._positions))

    def _memory(self, options: Options) -> int:
        """The number of a function's memory among those that the canonical ABI uses."""
        if options.memory is None:
            return 0
        position = self._position(self._key(options.memory))
        if position not in self._memories:
            if len(self._memories) == _MOST_MEMORIES:
                raise ComponentUnsupported(f"more than {_MOST_MEMORIES} memories that cross the border")
            self._memories.append(position)
        return self._memories.index(position)

    def _define(self, params: Sequence[CoreType], results: Sequence[CoreType], callback: Callable[..., int]) -> Key:
        key = ("host", len(self._definitions))
        self._definitions.append(HostDefinition(tuple(params), tuple(results), callback))
        self._position(key)
        return key

    def _define_once(
        self, what: Hashable, params: Sequence[CoreType], results: Sequence[CoreType], make: Callable[[], Callback]
    ) -> Key:
        """Define what all glue of this component can share, when it is first asked for."""
        if what not in self._shared:
            self._shared[what] = self._define(params, results, make())
        return self._shared[what]

    def _arguments(self, params: tuple[CoreType, ...]) -> Key:
        make = partial(arguments, self._border)
        return self._define_once(("arguments", params), ("i32", "i32"), ("i32", "i32", *params), make)

    def _resume(self, results: tuple[CoreType, ...]) -> Key:
        make = partial(resume, self._border)
        return self._define_once(("resume", results), ("i32", "i32"), ("i32", "i32", *results), make)

    def _lock(self) -> Key:
        return self._define_once("lock", ("i32",), (), partial(lock, self._border))

    def _refusal(self, what: str, reason: Callable[[int], GuestTrap]) -> Key:
        return self._define_once(("refusal", what), ("i32",), (), partial(refusal, self._border, reason))

    def _add_flag(self) -> Key:
        """Append the step that makes the flag of ``plain_call``."""
        self._modules.append(FLAG_MODULE)
        self._steps.append(LinkedStep(len(self._modules) - 1, [], False))
        return ("step", len(self._steps) - 1, "0")

    def _add_glue(self, glue: GlueModule) -> int:
        """Append a step for a glue module; its number."""
        self._modules.append(glue.binary())
        imports = [self._position(key) for key in glue.imports]  # type: ignore[arg-type]  # the linker's own keys
        self._steps.append(LinkedStep(len(self._modules) - 1, imports, False))
        return len(self._steps) - 1

    # -- what the guest calls

    def _make(self, definitions: Sequence[CoreDef]) -> None:
        """Make host definitions, and one glue module for those among them that need one."""
        glue = GlueModule(self._flag)
        glued: dict[int, int] = {}  # the definition's id -> its number
        for definition in definitions:
            if isinstance(definition, CoreExport) or id(definition) in self._made or id(definition) in glued:
                continue
            if isinstance(definition, Lowered):
                number = self._lower(definition, glue)
            else:
                number = self._builtin(definition, glue)
            if number is not None:
                glued[id(definition)] = number
        if not glue.is_empty:
            step = len(self._steps)
            for made, number in glued.items():
                self._made[made] = ("step", step, str(number))
            assert self._add_glue(glue) == step

    def _side(self, options: Options, place: int) -> Side:
        return Side(self._memory(options), options.encoding, place)

    def _lower(self, definition: Lowered, glue: GlueModule) -> int | None:
        """Make the core function of an import: itself a definition, or a function of ``glue`` (its number)."""
        function, options = definition.function, definition.options
        if isinstance(function, LiftedFunc):
            return self._call_between(definition, function, glue)
        host = self._offer.function(function)
        code = host_code(function.type, self._side(options, definition.place), host.waits)
        callback = code.bind(self._border, host.implementation)
        params, results = code.signature.params, code.signature.results
        if not code.glued:
            self._made[id(definition)] = self._define(params, results, callback)
            return None
        key = self._define(("i32", *params), ("i32", "i32", *results), callback)
        realloc = self._key(options.realloc) if options.realloc is not None else None
        return glue.host_call((params, results), key, self._resume(results), realloc)

    def _call_between(self, definition: Lowered, function: LiftedFunc, glue: GlueModule) -> int | None:
        """Make the core function by which one component instance calls what another one implements."""
        border, ours, theirs = self._border, definition.options, function.options
        if definition.place == function.place:
            shape = signature(function.type, lifted=False)
            self._made[id(definition)] = self._define(shape.params, shape.results, cannot_enter(border))
            return None
        if self._flag is not None and _is_plain_call(definition):
            return plain_call(
                glue,
                function.type,
                self._key(function.core),
                self._refusal("leaving", lambda _nothing: border.cannot_leave()),
                self._refusal("char", bad_char),
                self._refusal("case", bad_case),
            )
        caller, callee = self._side(ours, definition.place), self._side(theirs, function.place)
        code = fused_code(function.type, caller, callee)
        begin, done = code.bind(border)
        outer, inner = code.caller, code.callee
        pointer = ("i32",) if outer.indirect else ()
        answers = ("i32", "i32", *outer.results)
        return glue.component_call(
            (outer.params, outer.results),
            (inner.params, inner.results),
            self._define(("i32", *outer.params), ("i32", "i32", *inner.params), begin),
            self._arguments(inner.params) if code.allocates_parameters else None,
            self._key(theirs.realloc) if theirs.realloc is not None else None,
            self._key(function.core),
            self._define(("i32", *inner.results, *pointer), answers, done),
            self._resume(outer.results) if code.allocates_result else None,
            self._key(ours.realloc) if ours.realloc is not None else None,
            (self._lock(), self._key(theirs.post_return)) if theirs.post_return is not None else None,
        )

    def _builtin(self, definition: ResourceBuiltin, glue: GlueModule) -> int | None:
        resource, border, place = definition.resource, self._border, definition.place
        if definition.operation == "new":
            self._made[id(definition)] = self._define(("i32",), ("i32",), resource_new(border, place, resource))
            return None
        if definition.operation == "rep":
            self._made[id(definition)] = self._define(("i32",), ("i32",), resource_rep(border, place, resource))
            return None
        if resource.imported is not None:
            dropped = self._dropped.get(resource)
            self._made[id(definition)] = self._define(("i32",), (), resource_drop(border, place, resource, dropped))
            return None
        if resource.destructor is None:
            self._made[id(definition)] = self._define(("i32",), (), resource_drop(border, place, resource, None))
            return None
        key = self._define(("i32", "i32"), ("i32", "i32"), resource_remove(border, place, resource))
        return glue.drop(key, self._key(resource.destructor))  # type: ignore[arg-type]  # a CoreDef, see types.py

    # -- what the host calls

    def _lift(self, functions: list[tuple[str, LiftedFunc]]) -> None:
        glue = GlueModule(self._flag)
        glued: list[tuple[LinkedExport, int]] = []
        known: dict[int, LinkedExport] = {}
        for name, function in functions:
            if id(function) in known:  # one function under several names
                self._exports[name] = known[id(function)]
                continue
            options = function.options
            side = self._side(options, function.place)
            code = export_code(function.type, side, options.post_return is not None)
            core = self._key(function.core)
            params, results = code.signature.params, code.signature.results
            export = LinkedExport(name, function.type, code, -1, params, results)
            self._exports[name] = known[id(function)] = export
            if code.direct:
                export.position = self._position(core)
                continue
            export.params = ("i32", "i32") if code.allocates else params
            export.results = ()
            number = glue.export(
                signature(function.type, lifted=True)[:2],
                core,
                self._arguments(params) if code.allocates else None,
                self._key(options.realloc) if options.realloc is not None else None,
                self._define(results, (), lift_result(self._border, code.read, options.post_return is not None))
                if results or options.post_return is not None  # it also locks the guest in for its post-return
                else None,
                self._key(options.post_return) if options.post_return is not None else None,
            )
            glued.append((export, number))
        for resource in self._plan.resources:
            if resource.destructor is not None:
                self._destructors[resource] = self._position(self._key(resource.destructor))  # type: ignore[arg-type]
        if not glue.is_empty:
            step = self._add_glue(glue)
            for export, number in glued:
                export.position = self._position(("step", step, str(number)))


def _lowered(plan: Plan) -> Iterable[Lowered]:
    bundles = {
        id(instance): instance
        for step in plan.steps
        for instance in step.arguments.values()
        if not isinstance(instance, int)
    }
    for bundle in bundles.values():
        yield from (definition for definition in bundle.values() if isinstance(definition, Lowered))


def _is_plain_call(definition: Lowered) -> bool:
    """Whether this is a call to another component instance that WebAssembly can make alone."""
    function = definition.function
    return (
        isinstance(function, LiftedFunc)
        and function.place != definition.place
        and function.options.post_return is None
        and is_plain(function.type)
    )


def _functions(exports: dict[str, Export], prefix: str = "") -> Iterable[tuple[str, LiftedFunc]]:
    for name, export in exports.items():
        if isinstance(export, LiftedFunc):
            yield prefix + name, export
        elif isinstance(export, ExportedInstance):
            yield from _functions(export.exports, f"{prefix}{name}#")
