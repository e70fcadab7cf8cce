"""Read WIT files: packages, interfaces and worlds. Of a world only what a host may have to offer is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from airssys_actors.engine.wit.lexer import Text
from airssys_actors.engine.wit.parse_types import TypeParser
from airssys_actors.engine.wit.syntax import (
    Definition,
    FileSyntax,
    Function,
    InterfacePath,
    InterfaceSyntax,
    Name,
    NamedPart,
    PackageName,
    Use,
    WorldSyntax,
)

__all__ = ("parse_file",)

_GATES: Final = {"since": "version", "deprecated": "version", "unstable": "feature"}


def parse_file(text: Text) -> FileSyntax:
    """Read one file. Raises ``WitInvalid`` with line, column and remedy."""
    return _Parser(text).file()


class _Parser(TypeParser):
    def file(self) -> FileSyntax:
        file = FileSyntax(self.text)
        while self.lexer.peek.kind != "end":
            self._gates()
            if not self.sees("package"):
                self._item(file)
                continue
            at = self.lexer.take().at
            package = self._package_name()
            if self.sees("{"):
                file.nested.append(self._nested(package))
                continue
            if file.package is not None or file.interfaces or file.worlds or file.aliases:
                raise self.text.invalid(at, "a package is named in the middle of a file", "name it at the beginning")
            self.expect(";", "a package's name")
            file.package = package
        return file

    def _nested(self, package: PackageName) -> FileSyntax:
        file = FileSyntax(self.text, package)
        self.expect("{", "a nested package")
        while not self.accept("}"):
            self._gates()
            if self.sees("package"):
                raise self.wrong("a package inside a nested package", "put it beside, not inside")
            self._item(file)
        return file

    def _item(self, file: FileSyntax) -> None:
        if self.accept("interface"):
            file.interfaces.append(self._interface(self.name("an interface's name")))
        elif self.accept("world"):
            file.worlds.append(self._world())
        elif self.accept("use"):
            path = self._path()
            name = self.name("an interface's local name") if self.accept("as") else Name(path.name, path.at)
            self.expect(";", "a `use`")
            if name.text in file.aliases:
                raise self.text.invalid(name.at, f"`{name.text}` is used twice", "give one of them another name: `as`")
            file.aliases[name.text] = path
        else:
            raise self.wrong(f"{self.lexer.peek} begins nothing here", "write `interface`, `world`, `use` or `package`")

    def _gates(self) -> None:
        """Read what says since when something is there. It decides nothing: what a host offers is what it has."""
        first, seen = self.lexer.peek.at, set()
        while self.accept("@"):
            gate = self.name("a gate")
            seen.add(gate.text)
            key = _GATES.get(gate.text)
            if key is None:
                raise self.text.invalid(gate.at, f"@{gate.text} is no gate", f"write one of: @{', @'.join(_GATES)}")
            self.expect("(", f"@{gate.text}")
            given = self.name(f"what @{gate.text} says")
            if given.text != key:
                raise self.text.invalid(given.at, f"@{gate.text} says no `{given.text}`", f"write `{key} = ...`")
            self.expect("=", f"@{gate.text}")
            if key == "version":
                self.lexer.version()
            else:
                self.name("a feature's name")
            self.expect(")", f"@{gate.text}")
        if seen == {"deprecated"}:
            raise self.text.invalid(first, "@deprecated stands alone", "say since when it is there: `@since(...)`")

    # -- names of packages and interfaces

    def _package_name(self) -> PackageName:
        namespace = self.name("a package's namespace")
        self.expect(":", "a package's name")
        name = self.name("a package's name")
        if self.sees(":") or self.sees("/"):
            raise self.unsupported("a nested namespace or package")
        return PackageName(f"{namespace.text}:{name.text}", self._at_version())

    def _at_version(self) -> str | None:
        return self.lexer.version() if self.accept("@") else None

    def _path(self) -> InterfacePath:
        first = self.name("an interface's name")
        return self._path_after(first) if self.accept(":") else InterfacePath(None, first.text, first.at)

    def _path_after(self, namespace: Name) -> InterfacePath:
        """Read the rest of a full name, after the colon."""
        package = self.name("a package's name")
        if self.sees(":") or self.sees(";"):
            raise self.unsupported("an interface under another name, or a nested namespace")
        self.expect("/", "an interface's full name")
        name = self.name("an interface's name")
        if self.sees("/"):
            raise self.unsupported("a nested package")
        full = PackageName(f"{namespace.text}:{package.text}", self._at_version())
        return InterfacePath(full, name.text, namespace.at)

    # -- interfaces

    def _interface(self, name: Name) -> InterfaceSyntax:
        interface = InterfaceSyntax(name, self.text)
        self.expect("{", "an interface")
        while not self.accept("}"):
            self._gates()
            if not self._use_or_type(interface):
                function = self.name("a function's name")
                self.expect(":", "a function")
                interface.functions.append(self.function("free", function))
        return interface

    def _use_or_type(self, interface: InterfaceSyntax) -> bool:
        """Read a ``use`` or a type's definition, if one stands here."""
        if self.accept("use"):
            path = self._path()
            self.expect(".", "a `use` of types")
            interface.uses.append(Use(path, self.listed("{", "}", "a `use` of types", self._used)))
            self.expect(";", "a `use`")
        elif (definition := self._definition()) is not None:
            interface.definitions.append(definition)
        else:
            return False
        return True

    def _used(self) -> tuple[Name, Name]:
        name = self.name("a type's name")
        return name, self.name("a type's local name") if self.accept("as") else name

    # -- types with a name

    def _definition(self) -> Definition | None:
        if self.accept("type"):
            name = self.name("a type's name")
            self.expect("=", "a type's definition")
            alias = self.type()
            self.expect(";", "a type's definition")
            return Definition("alias", name, alias=alias)
        if self.accept("resource"):
            return self._resource(self.name("a resource's name"))
        if self.accept("record"):
            return self._parts("record", "a record", self._field)
        if self.accept("variant"):
            return self._parts("variant", "a variant", self._case)
        if self.accept("enum"):
            return self._parts("enum", "an enum", self._label)
        if self.accept("flags"):
            return self._parts("flags", "flags", self._label)
        return None

    def _parts(
        self, kind: Literal["record", "variant", "enum", "flags"], what: str, part: Callable[[], NamedPart]
    ) -> Definition:
        name = self.name(f"the name of {what}")
        parts = self.listed("{", "}", what, part)
        if not parts:
            raise self.text.invalid(name.at, f"`{name.text}` has no part", f"give {what} one part at least")
        return Definition(kind, name, parts)

    def _field(self) -> NamedPart:
        name = self.name("a field's name")
        self.expect(":", "a field")
        return NamedPart(name, self.type())

    def _case(self) -> NamedPart:
        name = self.name("a case's name")
        payload = None
        if self.accept("("):
            payload = self.type()
            self.expect(")", "a case")
        return NamedPart(name, payload)

    def _label(self) -> NamedPart:
        return NamedPart(self.name("a label"), None)

    def _resource(self, name: Name) -> Definition:
        if self.accept(";"):
            return Definition("resource", name)
        functions: list[Function] = []
        self.expect("{", "a resource")
        while not self.accept("}"):
            self._gates()
            if self.accept("constructor"):
                functions.append(self.signature("constructor", name))
                continue
            function = self.name("a method's name")
            self.expect(":", "a method")
            functions.append(self.function("static" if self.accept("static") else "method", function))
        return Definition("resource", name, functions=tuple(functions))

    # -- worlds

    def _world(self) -> WorldSyntax:
        name = self.name("a world's name")
        world = WorldSyntax(InterfaceSyntax(name, self.text))
        self.expect("{", "a world")
        while not self.accept("}"):
            self._gates()
            if self.accept("import"):
                self._import(world)
            elif self.accept("export"):
                self._export()
            elif self.accept("include"):
                self._include()
            elif not self._use_or_type(world.imports):
                raise self.wrong(
                    f"{self.lexer.peek} begins nothing in a world",
                    "write `import`, `export`, `include`, `use` or a type",
                )
        return world

    def _import(self, world: WorldSyntax) -> None:
        name = self._whole_interface()
        if name is None:
            return
        if self.accept("interface"):
            if name.text in world.inline:
                raise self.text.invalid(name.at, f"`{name.text}` is imported twice", "remove one of them")
            world.inline[name.text] = self._interface(name)
        else:
            world.imports.functions.append(self.function("free", name))

    def _export(self) -> None:
        name = self._whole_interface()
        if name is None:
            return
        if self.accept("interface"):
            self._interface(name)
        else:
            self.function("free", name)

    def _whole_interface(self) -> Name | None:
        """Read an interface by its path, and return None; or a name and its colon, and return the name."""
        first = self.name("an interface's name")
        if self.accept(":"):
            if self.lexer.peek.kind != "name":
                return first
            self._path_after(first)
        self.expect(";", "an interface's import or export")
        return None

    def _include(self) -> None:
        self._path()
        if not self.accept("with"):
            self.expect(";", "an `include`")
            return
        self.listed("{", "}", "an `include ... with`", self._renamed)

    def _renamed(self) -> None:
        self.name("a name to be changed")
        self.expect("as", "an `include ... with`")
        self.name("a new name")
