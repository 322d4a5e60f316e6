"""Which addresses a webhook may reach: the operator names a receiver, whoever runs its DNS names the address."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from errors import AgentRuntimeError

_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
"""The only IPv6 addresses that lead to the public internet; all other forms may carry or mean a private one."""
_UNROUTED = tuple(map(ipaddress.ip_network, ("3fff::/20", "192.0.0.0/24", "192.88.99.0/24")))
"""Documentation, protocol assignments and former 6to4 relays, which older versions of Python call global."""
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""NAT64: an IPv4 address written as IPv6."""


class PrivateAddress(AgentRuntimeError):
    """The receiver's name leads to an address that is not public."""


async def resolve(host: str, port: int, *, may_be_private: bool) -> str:
    """Return an address of `host` to connect to; raises PrivateAddress, or OSError when the name has none.

    Every address of the name must be public: a later connection must not find another one.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    if not may_be_private and not all(map(is_public, addresses)):
        raise PrivateAddress
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, also inside IPv6 forms that carry an IPv4 address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip not in _GLOBAL_UNICAST:
            return False
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _UNROUTED)
