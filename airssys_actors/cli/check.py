"""``airssys check``: is this manifest in order, and what would the component be able to do?"""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ("check", "register")


def check(
    manifest: Annotated[str, typer.Argument(help="A Component.toml.", metavar="MANIFEST")],
    host: Annotated[
        str | None, typer.Option("--host", help="A Host.toml, within whose ceilings it has to stay.", metavar="FILE")
    ] = None,
) -> None:
    """Check a manifest, and say in plain words what the component may do, the risky first.

    Exit status: 0 if it is in order; 2 if not, with all mistakes on standard error.
    """
    # Imported here, as other commands start without it.
    from airssys_security.describe import describe_manifest, describe_settings, render
    from airssys_security.manifest.enforced import unenforced
    from airssys_security.text import visible

    from airssys_actors.cli.documents import read_documents

    read, settings = read_documents(manifest, host)
    component = read.component
    print(visible(f"{component.name} {component.version} ({component.wasm})"))
    if component.description:
        print(visible(f"the author says: {component.description}"))
    for line in render(describe_manifest(read)):
        print(line)
    changed = describe_settings(read)
    if changed:
        print("Beside that:")
    for line in changed:
        print(f"  {line}")
    obstacles = [*unenforced(read)]
    if settings is not None:
        asked = dict.fromkeys((*read.required.custom_actions(), *read.optional.custom_actions()))
        obstacles += [
            f"{kind}.{action}: neither is it in the Host.toml; the application itself has to declare it"
            for kind, action in asked
            if action not in settings.custom.get(kind.removeprefix("custom."), ())
        ]
    if obstacles:
        print("A host does not start it as it is:")
    for line in obstacles:
        print(f"  {line}")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(check)
