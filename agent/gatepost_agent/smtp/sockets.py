"""Listening sockets: which ones a set of bindings needs, how one is bound, and why it cannot be."""

import contextlib
import errno
import socket
import struct
from collections.abc import Iterable
from ctypes import addressof, create_string_buffer
from typing import NamedTuple

from gatepost.policy.model.addresses import Address, Binding
from gatepost_agent.current import ListenError
from gatepost_agent.smtp.port_holder import port_holder


class Group(NamedTuple):
    """The port and IP version that sockets share or fight over."""

    version: int
    port: int


def literal(binding: Binding) -> Address:
    """The binding's address. Raises ListenError where a name was not filled in."""
    if binding.address is None:
        problem = "this server has no address of that name: give it one, or bind to a literal address"
        raise ListenError(str(binding), problem, retryable=False)
    return binding.address


def group_of(binding: Binding) -> Group:
    return Group(literal(binding).version, binding.port)


def sockets_for(bindings: Iterable[Binding]) -> frozenset[Binding]:
    """The sockets that serve all of `bindings`: a wildcard serves every address of its port and IP version.

    `0.0.0.0:p` beside `127.0.0.1:p` would be EADDRINUSE; the connector is chosen by the accepted socket's local
    address, so one socket is enough.
    """
    wanted = frozenset(bindings)
    wild = {group_of(binding) for binding in wanted if binding.wildcard}
    return frozenset(binding for binding in wanted if binding.wildcard or group_of(binding) not in wild)


def _tcp_socket(address: Address) -> socket.socket:
    made = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    made.setblocking(False)
    if address.version == 6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # else [::]:p takes 0.0.0.0:p as well
    return made


def bind(binding: Binding, *, shared: bool) -> socket.socket:
    """A bound socket that does not listen yet. `shared`: beside our own overlapping one. Raises OSError."""
    address = literal(binding)
    made = _tcp_socket(address)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            share(made, on=True)
        made.bind((str(address), binding.port))
    except OSError:
        made.close()
        raise
    return made


def check_local(binding: Binding) -> None:
    """A specific address that a wildcard serves must be this host's all the same. Raises OSError."""
    with _tcp_socket(literal(binding)) as probe:
        probe.bind((str(binding.address), 0))


def refusal(binding: Binding, error: OSError) -> ListenError:
    """What the system told, in an operator's words. Looks through /proc: not on the event loop."""
    if error.errno == errno.EADDRINUSE:
        holder = port_holder(binding.port) or "another process"
        return ListenError(str(binding), f"the port is taken by {holder}", retryable=True)
    if error.errno == errno.EADDRNOTAVAIL:
        return ListenError(str(binding), "not an address of this host", retryable=False)
    if error.errno in (errno.EACCES, errno.EPERM):
        problem = "not permitted: a port below 1024 needs root or CAP_NET_BIND_SERVICE"
        return ListenError(str(binding), problem, retryable=False)
    return ListenError(str(binding), error.strerror or str(error), retryable=True)


def share(listening: socket.socket, *, on: bool) -> None:
    """SO_REUSEPORT lets a wildcard and a specific socket be bound side by side.

    On only while they change places: always on, a second agent would silently share the port.
    """
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(on))


_SO_ATTACH_FILTER = 26  # Linux; the socket module has no name for it
# Classic BPF over the TCP header: a segment with SYN and without ACK is dropped, all else passes.
_NO_NEW_HANDSHAKES = (
    (0x30, 0, 0, 13),  # load the octet with the flags
    (0x54, 0, 0, 0x12),  # keep SYN and ACK
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0x40000),  # pass
)


def refuse_handshakes(listening: socket.socket) -> None:
    """From now on new clients' SYNs are lost here; those whose handshake has begun still get through.

    A lost SYN is sent again after a second, to whichever socket listens by then. Where the system has no such
    filter, a client may be reset when the socket closes.
    """
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in _NO_NEW_HANDSHAKES)
    buffer = create_string_buffer(program)
    attached = struct.pack("HL", len(_NO_NEW_HANDSHAKES), addressof(buffer))
    with contextlib.suppress(OSError):
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, attached)
