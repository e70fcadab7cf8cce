"""``airssys run Host.toml``: a host that stays until it is told to end, with the components that its file lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from airssys_actors.cli.options import StateOption

if TYPE_CHECKING:
    from airssys_security.host_values import HostComponent, HostFile

    from airssys_actors.config import HostConfig
    from airssys_actors.host import Host

__all__ = ("register", "run")

_HOST_FAILED = 125
"""As ``docker run`` and ``timeout`` have it: what was to be run is not to blame."""


def run(
    file: Annotated[str, typer.Argument(help="A Host.toml.", metavar="HOST.toml")],
    state: StateOption = None,
) -> None:
    """Run a host until it is interrupted, with the components that its file lists.

    Exit status: 0 after an interrupt or SIGTERM; 125 if the host cannot run; 2 for a mistake in its file.
    """
    import asyncio

    import msgspec
    from airssys_security.errors import SecurityError
    from airssys_security.text import visible

    from airssys_actors.cli.options import locate
    from airssys_actors.cli.output import fail

    if not file.endswith(".toml"):
        fail(f"{visible(file, 500)}: a Host.toml is what can be run; put the component in one, as [[component]]")
    folder, settings = locate(file, state)
    assert settings is not None  # a file was named

    from airssys_actors.config import HostConfig
    from airssys_actors.errors import AirssysError

    config = msgspec.structs.replace(HostConfig.from_host_file(settings), state_folder=folder)
    try:
        asyncio.run(_serve(config, settings))
    except (AirssysError, SecurityError) as error:
        fail(str(error), _HOST_FAILED)


async def _serve(config: HostConfig, settings: HostFile) -> None:
    import asyncio
    import signal

    from airssys_actors.host import Host

    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    entries = {entry.id: entry for entry in settings.components}
    async with Host(config) as host, asyncio.TaskGroup() as starting:

        def decided(component_id: str) -> None:
            """Start what was approved while it waited."""
            if component_id in entries and host.find(component_id) is None and not ended.is_set():
                starting.create_task(_start(host, entries[component_id]))

        for entry in settings.components:
            if ended.is_set():
                break
            await _start(host, entry)
        host.on_decision(decided)
        print(f"the host runs in {config.state_folder}; interrupt it to end it", flush=True)
        await ended.wait()
        print("the host ends", flush=True)


async def _start(host: Host, entry: HostComponent) -> None:
    """Start one component and say how that went. One that cannot start keeps no other from it."""
    from airssys_security.errors import ApprovalPending, SecurityError
    from airssys_security.text import visible

    from airssys_actors.errors import AirssysError

    given = {
        "volumes": entry.volumes or None,
        "environment": entry.environment or None,
        "arguments": entry.arguments or None,
    }
    try:
        if entry.path is not None:
            await host.spawn(entry.path, id=entry.id, **given)  # type: ignore[arg-type]  # each is of its own type
        elif entry.installed != entry.id:
            said = f"{entry.id}: it is installed as {entry.installed}: an approval holds for one id, so give it that"
            print(visible(said), flush=True)
            return
        else:
            await host.spawn_installed(entry.installed, **given)  # type: ignore[arg-type]
    except ApprovalPending as pending:
        said = f"{entry.id} waits for approval {pending.approval_id}: airssys approvals show {pending.approval_id}"
    except (AirssysError, SecurityError) as error:
        for line in str(error).splitlines():
            print(visible(f"{entry.id} did not start: {line}"), flush=True)
        return
    else:
        said = f"{entry.id} runs"
    print(visible(said), flush=True)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run)
