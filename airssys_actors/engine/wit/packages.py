"""Where WIT comes from: text that an application gives, a file, or a folder of packages. Each is read once.

Our own packages stand beside every text, so that it may ``use`` their types without repeating them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from threading import RLock
from typing import Final

from airssys_actors.engine.host import OWN_PACKAGES, Wit
from airssys_actors.engine.wit.lexer import Text
from airssys_actors.engine.wit.parser import parse_file
from airssys_actors.engine.wit.resolve import InterfaceResolver, WitInterface
from airssys_actors.engine.wit.syntax import FileSyntax, InterfacePath, InterfaceSyntax, PackageName, WorldSyntax
from airssys_actors.errors import WitInvalid

__all__ = ("WitPackages", "read_wit")

_LONGEST_CHAIN: Final = 100
_MOST_FILES: Final = 1000
_SOURCES: Final = 128
# Interfaces of one text resolve those of another, and hosts in several threads share them all.
_RESOLVING: Final = RLock()


@lru_cache(maxsize=_SOURCES)
def read_wit(wit: Wit) -> WitPackages:
    """Read text or files. The same text or path is read once in the life of the process.

    Raises:
        WitInvalid: with file, line, column and remedy.
        OSError: a file cannot be read.
    """
    if isinstance(wit, str):
        return WitPackages("the given WIT", [[parse_file(Text("the given WIT", wit))]])
    groups = _packages_in(wit) if wit.is_dir() else [[wit]]
    return WitPackages(str(wit), [[parse_file(_text_of(path)) for path in group] for group in groups])


def _text_of(path: Path) -> Text:
    try:
        return Text(str(path), path.read_text("utf-8"))
    except UnicodeDecodeError:
        raise WitInvalid(str(path), 1, 1, "the file is not UTF-8", "save it as UTF-8") from None


def _packages_in(root: Path) -> list[list[Path]]:
    """Find the files of each package: those of one folder, and in a folder called ``deps`` each file by itself."""
    found = sorted(root.rglob("*.wit"))
    if not found or len(found) > _MOST_FILES:
        raise WitInvalid(
            str(root), 1, 1, f"{len(found)} .wit files are in this folder", f"put 1 to {_MOST_FILES} there"
        )
    groups: dict[Path, list[Path]] = {}
    for path in found:
        groups.setdefault(path if path.parent.name == "deps" else path.parent, []).append(path)
    return list(groups.values())


class WitPackages:
    """Packages by name. An interface is resolved when it is first asked for, and kept."""

    def __init__(self, source: str, groups: Iterable[list[FileSyntax]]) -> None:
        """``groups``: files that belong to one package each; one of them at least says which."""
        self._source = source
        self._packages: dict[PackageName, dict[str, tuple[FileSyntax, InterfaceSyntax]]] = {}
        self._worlds: list[tuple[FileSyntax, WorldSyntax]] = []
        self._resolvers: dict[int, InterfaceResolver] = {}
        self._done: dict[tuple[str, tuple[str, ...]], WitInterface] = {}
        for files in groups:
            self._add_group(files)

    def names(self) -> list[str]:
        """Name every interface as components import it."""
        return [_full(package, name) for package, interfaces in self._packages.items() for name in interfaces]

    def interface(self, name: str, versions: tuple[str, ...]) -> WitInterface:
        """Resolve what a component imports as ``name``, in one of ``versions`` (none: without a version).

        "" means the functions that a world imports by themselves, a plain name an interface written into the world.

        Raises:
            WitInvalid: it is not there, or it is wrong.
        """
        with _RESOLVING:
            known = self._done.get((name, versions))
            if known is None:
                try:
                    known = self._done[name, versions] = self._wanted(name, versions).resolve()
                except WitInvalid:
                    self._resolvers.clear()  # they stopped in the middle
                    raise
            return known

    def lacks(self, name: str, what: str, offered: Collection[str], known: Collection[str]) -> WitInvalid:
        """Return (not raise) the error for what is offered and not declared."""
        lacking, has = (", ".join(f"`{each}`" for each in names) for names in (offered, known))
        return WitInvalid(
            self._source, 1, 1, f"{name or 'the world'} has no {what} {lacking[:300]}, which is offered",
            f"declare it, or offer what is declared: {has[:500] or 'nothing'}",
        )  # fmt: skip

    # -- what is there

    def _add_group(self, files: list[FileSyntax]) -> None:
        package: PackageName | None = None
        for file in files:
            if file.package is not None and package not in (None, file.package):
                raise file.text.invalid(
                    0, f"the package is {file.package} here and {package} in a file beside it", "name it alike"
                )
            package = package or file.package
        for file in files:
            for nested in file.nested:
                assert nested.package is not None
                self._add_file(nested.package, nested)
            if file.interfaces or file.worlds or file.package:
                if package is None:
                    raise file.text.invalid(
                        0, "the text names no package", "begin it with `package namespace:name@version;`"
                    )
                file.package = package
                self._add_file(package, file)

    def _add_file(self, package: PackageName, file: FileSyntax) -> None:
        interfaces = self._packages.setdefault(package, {})
        for interface in file.interfaces:
            if interface.name.text in interfaces:
                raise file.text.invalid(
                    interface.name.at, f"{package} has two interfaces `{interface.name.text}`", "rename one of them"
                )
            interfaces[interface.name.text] = (file, interface)
        self._worlds += [(file, world) for world in file.worlds]

    # -- looking up

    def _wanted(self, name: str, versions: tuple[str, ...]) -> InterfaceResolver:
        package_name, slash, interface = name.partition("/")
        if not slash:
            return self._of_world(name)
        served = [PackageName(package_name, version) for version in versions or (None,)]
        found = [package for package in served if interface in self._packages.get(package, ())]
        if len(found) == 1:
            return self._resolver(found[0], *self._packages[found[0]][interface])
        offered = name if not versions else f"{name} in the versions {', '.join(versions)}"
        known = ", ".join(self.names()) or "no interface"
        what = f"the WIT declares it {'more than once' if found else 'not at all'}"
        remedy = f"name one of those that it declares: {known[:500]}"
        raise WitInvalid(self._source, 1, 1, f"{offered} is offered, and {what}", remedy)

    def _of_world(self, name: str) -> InterfaceResolver:
        found = [(file, world) for file, world in self._worlds if not name or name in world.inline]
        if len(found) != 1:
            what = f"imports an interface called `{name}`" if name else "could import functions by themselves"
            raise WitInvalid(
                self._source, 1, 1, f"{len(found)} worlds are there of which each {what}", "write exactly one"
            )
        file, world = found[0]
        assert file.package is not None
        return self._resolver(file.package, file, world.inline[name] if name else world.imports, name or None)

    def _resolver(
        self, package: PackageName, file: FileSyntax, syntax: InterfaceSyntax, name: str | None = ""
    ) -> InterfaceResolver:
        known = self._resolvers.get(id(syntax))
        if known is None:

            def find(text: Text, path: InterfacePath, distance: int) -> InterfaceResolver:
                return self._used(package, file, text, path, distance)

            full = _full(package, syntax.name.text) if name == "" else name
            known = self._resolvers[id(syntax)] = InterfaceResolver(full, syntax, find)
        return known

    def _used(
        self, package: PackageName, file: FileSyntax, text: Text, path: InterfacePath, distance: int
    ) -> InterfaceResolver:
        if distance > _LONGEST_CHAIN:
            raise text.invalid(path.at, f"more than {_LONGEST_CHAIN} interfaces use each other in a row", "use fewer")
        if path.package is None and path.name in file.aliases:
            path = file.aliases[path.name]
        wanted = path.package or package
        for place in self._places():
            for candidate in place._candidates(wanted):
                if path.name in place._packages[candidate]:
                    return place._resolver(candidate, *place._packages[candidate][path.name])
        known = {each for place in self._places() for each in place.names()}
        near = sorted(each for each in known if each.partition("@")[0] == _full(wanted, path.name).partition("@")[0])
        raise text.invalid(
            path.at, f"there is no interface {_full(wanted, path.name)}",
            f"write {' or '.join(near)}" if near else f"declare it, or name one of: {', '.join(sorted(known))[:500]}",
        )  # fmt: skip

    def _places(self) -> Iterator[WitPackages]:
        yield self
        if self._source != str(OWN_PACKAGES):
            yield read_wit(OWN_PACKAGES)

    def _candidates(self, wanted: PackageName) -> list[PackageName]:
        """The package itself; else, of our own, a later release that is compatible with it."""
        if wanted in self._packages:
            return [wanted]
        if self._source != str(OWN_PACKAGES) or wanted.version is None:
            return []
        return [each for each in self._packages if each.name == wanted.name and _serves(each.version, wanted.version)]


def _full(package: PackageName, interface: str) -> str:
    return f"{package.name}/{interface}" + (f"@{package.version}" if package.version else "")


def _serves(offered: str | None, wanted: str) -> bool:
    """Tell whether a release has all that another one has: the same 0.x or x, and no draft."""
    if offered is None or not (offered + wanted).replace(".", "").isdecimal():
        return False
    ours, theirs = ([int(number) for number in version.split(".")] for version in (offered, wanted))
    leading = next((place for place, number in enumerate(theirs) if number), 2) + 1
    return ours[:leading] == theirs[:leading] and ours >= theirs
