"""``airssys audit verify``, ``tail`` and ``query``: what the audit says, and whether it is still what was written."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from airssys_security.text import visible

from airssys_actors.cli.options import HostOption, JsonOption, StateOption, locate
from airssys_actors.cli.output import fail, print_table

if TYPE_CHECKING:
    from airssys_security.audit.query import Found
    from airssys_security.audit.seals import Head, SealKey

__all__ = ("query", "register", "tail", "verify")

_Log = Annotated[str | None, typer.Option("--log", help="The log's file, in place of the host's.", metavar="FILE")]
_PAGE: Final = 500
"""Rows of a table: a log may be longer than memory."""
_PAUSE_S: Final = 0.2
_COLUMNS: Final = ("TIME", "COMPONENT", "OPERATION", "DECISION", "LAYER", "RESOURCE", "REASON")


def _log_file(log: str | None, host: str | None, state: str | None) -> Path:
    if log is not None:
        return Path(log).absolute()
    folder, file = locate(host, state)
    return (file.audit.file if file is not None else None) or folder / "audit.jsonl"


def verify(
    log: Annotated[str | None, typer.Argument(help="The log's file.", metavar="[LOG]")] = None,
    heads: Annotated[
        str | None, typer.Option(help="Where the heads are kept: finds a cut tail.", metavar="FILE")
    ] = None,
    key: Annotated[str | None, typer.Option(help="The file of first keys: tries the seals.", metavar="FILE")] = None,
    host: HostOption = None,
    state: StateOption = None,
) -> None:
    """Tell whether a log is what was written. Exit status 0 if it is, 1 if it is not, 2 if it cannot be read."""
    from airssys_security.audit.files import beside
    from airssys_security.audit.verify import verify_log

    path = _log_file(log, host, state)
    named_heads = Path(heads) if heads is not None else _host_heads(host, state)
    try:
        known_heads = _heads(named_heads or beside(path, "heads"), needed=heads is not None)
        keys = _keys(Path(key) if key is not None else beside(path, "first-keys"), needed=key is not None)
        report = verify_log(path, heads=known_heads, keys=keys)
    except OSError as error:
        fail(f"{error.filename or path}: it cannot be read ({os.strerror(error.errno or 0)})")
    for finding in report.findings:
        print(visible(str(finding)))  # names of files that the heads' file tells
    for note in report.notes:
        print(visible(f"note: {note}"))
    verdict = "is what was written" if report.is_good else "is NOT what was written"
    print(f"{visible(str(path))}: {report.lines} records, {report.seals} seals; it {verdict}")
    if not report.is_good:
        raise typer.Exit(1)


def _host_heads(host: str | None, state: str | None) -> Path | None:
    if host is None:
        return None
    _, file = locate(host, state)
    return None if file is None else file.audit.heads


def _heads(path: Path, *, needed: bool) -> list[Head] | None:
    from airssys_security.audit.seals import read_heads

    if not needed and not path.exists():
        return None
    heads, broken = read_heads(path.read_bytes())
    if broken:
        fail(f"{path}: {broken} lines of it are no heads; name the file where they are kept")
    return heads


def _keys(path: Path, *, needed: bool) -> dict[str, SealKey] | None:
    from airssys_security.audit.seals import read_first_keys

    if not needed and not path.exists():
        return None
    try:
        return read_first_keys(path.read_text("ascii", "replace"))
    except ValueError as error:
        fail(f"{path}: {error}; name the file of first keys that the host wrote")


def tail(
    count: Annotated[int, typer.Option("-n", min=1, max=1_000_000, help="How many records.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it is interrupted.")] = False,
    log: _Log = None,
    as_json: JsonOption = False,
    host: HostOption = None,
    state: StateOption = None,
) -> None:
    """Print the last records, the newest last; with --follow also those that come."""
    from airssys_security.audit.query import tail as last

    path = _log_file(log, host, state)
    if follow:
        _print(path, lambda: _followed(path, count), as_json, page=1)
    else:
        _print(path, lambda: last(path, count), as_json)


def _followed(path: Path, count: int) -> Iterator[Found]:
    from airssys_security.audit.query import Follower
    from airssys_security.audit.query import tail as last

    follower = Follower(path)
    yield from last(path, count)
    while True:
        yield from follower.read()
        time.sleep(_PAUSE_S)


def query(
    component: Annotated[str, typer.Option(help="Of this component.")] = "",
    kind: Annotated[str, typer.Option(help="Of this kind, such as filesystem or filesystem.read.")] = "",
    decision: Annotated[str, typer.Option(help="granted or denied.")] = "",
    layer: Annotated[str, typer.Option(help="Decided by this layer.")] = "",
    since: Annotated[str, typer.Option(help="Not before this time: 2026-01-31T12:00:00Z.")] = "",
    until: Annotated[str, typer.Option(help="Not after this time.")] = "",
    newest_first: Annotated[bool, typer.Option("--newest-first", help="From the end of the log.")] = False,
    log: _Log = None,
    as_json: JsonOption = False,
    host: HostOption = None,
    state: StateOption = None,
) -> None:
    """Print the records for which all of this holds, the oldest first."""
    from airssys_security.audit.query import Query, newest, records

    if decision not in ("", "granted", "denied"):
        fail(f"--decision {decision}: write granted or denied")
    wanted = Query(
        component=component,
        kind=kind,
        decision=decision,
        layer=layer,
        since_ms=_time("--since", since),
        until_ms=_time("--until", until),
    )
    path = _log_file(log, host, state)
    _print(path, lambda: newest(path, wanted) if newest_first else records(path, wanted), as_json)


def _time(option: str, text: str) -> int | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{option} {text}: write a time such as 2026-01-31T12:00:00Z")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def _print(path: Path, read: Callable[[], Iterable[Found]], as_json: bool, page: int = _PAGE) -> None:
    if not path.exists():
        fail(f"{path}: there is no such log")
    try:
        found = iter(read())
        while some := list(islice(found, page)):
            if as_json:
                sys.stdout.buffer.writelines(record.line + b"\n" for record in some)
                sys.stdout.buffer.flush()
            elif page == 1:
                print("  ".join(visible(cell) for cell in _row(some[0])), flush=True)
            else:
                print_table(_COLUMNS, map(_row, some))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # who read has seen enough
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except OSError as error:
        fail(f"{path}: it cannot be read ({os.strerror(error.errno or 0)})")


def _row(found: Found) -> tuple[str, ...]:
    try:
        moment = datetime.fromtimestamp(found.time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError):
        moment = str(found.time_ms)
    operation = found.operation if found.count == 1 else f"{found.operation} x{found.count}"
    return moment, found.component, operation, found.decision, found.layer, found.resource, found.reason


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Read the audit, and verify it.")
    group.command()(verify)
    group.command()(tail)
    group.command()(query)
    app.add_typer(group, name="audit")
