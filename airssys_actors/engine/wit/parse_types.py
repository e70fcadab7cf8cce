"""Read types, functions and parameter lists of WIT. What later proposals bring is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar, get_args

from airssys_actors.engine.types import PrimitiveName
from airssys_actors.engine.wit.lexer import Lexer, Text, Token
from airssys_actors.engine.wit.syntax import Function, FunctionKind, Name, NamedPart, TypeSyntax
from airssys_actors.errors import WitInvalid

__all__ = ("PRIMITIVES", "TypeParser")

_Item = TypeVar("_Item")

DEEPEST: Final = 100
PRIMITIVES: Final = frozenset(get_args(PrimitiveName))
_FORMER: Final = {"float32": "f32", "float64": "f64"}
_UNSUPPORTED: Final = {
    "stream": "the type stream",
    "future": "the type future",
    "error-context": "the type error-context",
    "map": "the type map",
}


class TypeParser:
    """A place in WIT text, and what can be read there that has no braces around it."""

    def __init__(self, text: Text) -> None:
        self.text = text
        self.lexer = Lexer(text)

    # -- tokens

    def sees(self, text: str) -> bool:
        """Tell whether the next token is this sign or keyword."""
        return self.lexer.peek.text == text and self.lexer.peek.kind in ("sign", "keyword")

    def accept(self, text: str) -> bool:
        """Take the next token if it is this sign or keyword."""
        if self.sees(text):
            self.lexer.take()
            return True
        return False

    def expect(self, text: str, where: str) -> Token:
        """Take this sign or keyword; ``where`` says in the error what it belongs to."""
        if not self.sees(text):
            raise self.wrong(f"{self.lexer.peek} stands where {where} needs `{text}`", f"write `{text}` here")
        return self.lexer.take()

    def name(self, what: str) -> Name:
        """Take a name."""
        token = self.lexer.peek
        if token.kind == "keyword":
            raise self.wrong(f"{token} is a word of WIT and cannot be {what} as it is", f"write `%{token.text}`")
        if token.kind != "name":
            raise self.wrong(f"{token} stands where {what} is wanted", "write a name of words joined by hyphens")
        self.lexer.take()
        return Name(token.text, token.at)

    def wrong(self, what: str, remedy: str) -> WitInvalid:
        """Return (not raise) the error about the next token."""
        return self.text.invalid(self.lexer.peek.at, what, remedy)

    def unsupported(self, what: str) -> WitInvalid:
        """Return (not raise) the refusal of ``what`` at the next token."""
        return self.wrong(f"{what} is not supported by this engine", "use what WASI 0.2 has")

    def listed(self, opening: str, closing: str, where: str, item: Callable[[], _Item]) -> tuple[_Item, ...]:
        """Read items between two signs, separated by commas; one may stand after the last."""
        self.expect(opening, where)
        items = []
        while not self.accept(closing):
            items.append(item())
            if not self.accept(","):
                self.expect(closing, where)
                break
        return tuple(items)

    # -- types

    def type(self, depth: int = 0) -> TypeSyntax:
        """Read a type where one is used."""
        token = self.lexer.peek
        if depth > DEEPEST:
            raise self.wrong(f"a type is nested more than {DEEPEST} deep", "give its inner part a name of its own")
        if token.kind == "name":
            self.lexer.take()
            if token.text in _FORMER:
                raise self.text.invalid(
                    token.at, f"{token} is the former name of a type", f"write `{_FORMER[token.text]}`"
                )
            return TypeSyntax(token.text, token.at)
        if token.kind != "keyword":
            raise self.wrong(f"{token} stands where a type is wanted", "write a type, as `u32` or `list<string>`")
        if token.text in _UNSUPPORTED:
            raise self.unsupported(_UNSUPPORTED[token.text])
        if token.text in PRIMITIVES:
            self.lexer.take()
            return TypeSyntax(token.text, token.at, applied=True)
        if token.text not in ("list", "option", "result", "tuple", "own", "borrow"):
            raise self.wrong(
                f"{token} is no type", "write a type, as `u32`; if one of yours has this name, put a % before it"
            )
        self.lexer.take()
        return TypeSyntax(token.text, token.at, applied=True, arguments=self._arguments(token, depth))

    def _arguments(self, token: Token, depth: int) -> tuple[TypeSyntax | None, ...]:
        where = f"the type `{token.text}`"
        if token.text == "result":
            return self._result_arguments(depth) if self.sees("<") else (None, None)
        if token.text == "tuple":
            return self.listed("<", ">", where, lambda: self.type(depth + 1))
        self.expect("<", where)
        argument = self.type(depth + 1)
        if token.text == "list" and self.sees(","):
            raise self.unsupported("a list of a fixed length")
        self.expect(">", where)
        return (argument,)

    def _result_arguments(self, depth: int) -> tuple[TypeSyntax | None, ...]:
        self.expect("<", "the type `result`")
        ok = None if self.accept("_") else self.type(depth + 1)
        error = None
        if ok is None or self.sees(","):
            self.expect(",", "a `result` without an ok type")
            error = self.type(depth + 1)
        self.expect(">", "the type `result`")
        return (ok, error)

    # -- functions

    def function(self, kind: FunctionKind, name: Name) -> Function:
        """Read a function from its `func` on, up to and with the semicolon."""
        if self.sees("async"):
            raise self.unsupported("an asynchronous function")
        self.expect("func", "a function")
        return self.signature(kind, name)

    def signature(self, kind: FunctionKind, name: Name) -> Function:
        """Read parameters and result, up to and with the semicolon."""
        params = self.listed("(", ")", "a function's parameters", self._parameter)
        result = None
        if self.accept("->"):
            if self.sees("("):
                raise self.wrong("named results are no longer part of WIT", "return a record or a tuple")
            result = self.type()
        self.expect(";", "a function")
        return Function(kind, name, params, result)

    def _parameter(self) -> NamedPart:
        name = self.name("a parameter's name")
        self.expect(":", "a parameter")
        return NamedPart(name, self.type())
