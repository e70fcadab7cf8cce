"""wasi:sockets: offered in full, so that components which import it load; refused in full, until the network comes.

No socket is ever made, so the operations of one are beyond a guest's reach.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from airssys_security.requests import Request

from airssys_actors.engine.host import OWN_PACKAGES, HostFunction, HostInterface
from airssys_actors.engine.values import Err
from airssys_actors.errors import GuestTrap
from airssys_actors.interfaces.wasi import WASI_VERSIONS

if TYPE_CHECKING:
    from airssys_actors.interfaces.guest import Guest
    from airssys_actors.interfaces.wasi.io_error import StreamFailure

__all__ = ("SOCKETS", "Network")


class Network:
    """The WIT resource ``network``. It is a name for the network, and no right to it."""

    __slots__ = ()

    def close(self) -> None:
        """Hold nothing."""


def _instance_network(guest: Guest) -> Network:
    network = Network()
    guest.hold(network)
    return network


def _network_error_code(guest: Guest, failure: StreamFailure) -> None:
    """No error of a stream comes from the network."""


def _refuse(guest: Guest, resource: str) -> Err:
    request = Request("network", "connect", resource)
    guest.refuse(request, "the network is not offered by this version", layer="request")
    return Err("access-denied")


def _create_tcp_socket(guest: Guest, family: str) -> Err:
    return _refuse(guest, f"a TCP socket ({family})")


def _create_udp_socket(guest: Guest, family: str) -> Err:
    return _refuse(guest, f"a UDP socket ({family})")


def _resolve_addresses(guest: Guest, network: Network, name: str) -> Err:
    return _refuse(guest, name[:1024])


def _beyond_reach(guest: Guest, *values: object) -> NoReturn:
    raise GuestTrap("an operation on a socket, where none can be made")


def _methods(resource: str, names: str) -> dict[str, HostFunction]:
    return {f"[method]{resource}.{name}": HostFunction(_beyond_reach) for name in names.split()}


_TCP = """
    start-bind finish-bind start-connect finish-connect start-listen finish-listen accept local-address remote-address
    is-listening address-family set-listen-backlog-size keep-alive-enabled set-keep-alive-enabled keep-alive-idle-time
    set-keep-alive-idle-time keep-alive-interval set-keep-alive-interval keep-alive-count set-keep-alive-count hop-limit
    set-hop-limit receive-buffer-size set-receive-buffer-size send-buffer-size set-send-buffer-size subscribe shutdown
"""
_UDP = """
    start-bind finish-bind stream local-address remote-address address-family unicast-hop-limit set-unicast-hop-limit
    receive-buffer-size set-receive-buffer-size send-buffer-size set-send-buffer-size subscribe
"""

SOCKETS: Final = (
    HostInterface(
        "wasi:sockets/network",
        WASI_VERSIONS,
        {"network-error-code": HostFunction(_network_error_code)},
        {"network": lambda guest, network: guest.drop(network)},
        wit=OWN_PACKAGES,
    ),
    HostInterface(
        "wasi:sockets/instance-network",
        WASI_VERSIONS,
        {"instance-network": HostFunction(_instance_network)},
        wit=OWN_PACKAGES,
    ),
    HostInterface(
        "wasi:sockets/tcp-create-socket",
        WASI_VERSIONS,
        {"create-tcp-socket": HostFunction(_create_tcp_socket)},
        wit=OWN_PACKAGES,
    ),
    HostInterface(
        "wasi:sockets/tcp", WASI_VERSIONS, _methods("tcp-socket", _TCP), {"tcp-socket": None}, wit=OWN_PACKAGES
    ),
    HostInterface(
        "wasi:sockets/udp-create-socket",
        WASI_VERSIONS,
        {"create-udp-socket": HostFunction(_create_udp_socket)},
        wit=OWN_PACKAGES,
    ),
    HostInterface(
        "wasi:sockets/udp",
        WASI_VERSIONS,
        {
            **_methods("udp-socket", _UDP),
            **_methods("incoming-datagram-stream", "receive subscribe"),
            **_methods("outgoing-datagram-stream", "check-send send subscribe"),
        },
        {"udp-socket": None, "incoming-datagram-stream": None, "outgoing-datagram-stream": None},
        wit=OWN_PACKAGES,
    ),
    HostInterface(
        "wasi:sockets/ip-name-lookup",
        WASI_VERSIONS,
        {
            "resolve-addresses": HostFunction(_resolve_addresses),
            **_methods("resolve-address-stream", "resolve-next-address subscribe"),
        },
        {"resolve-address-stream": None},
        wit=OWN_PACKAGES,
    ),
)
