"""Whether an address leads to this machine, or into a network that isn't public. Pure: no name is looked up.

Others name addresses to us: providers where a result lies, servers where one logs in, anybody where to go on. Those on the
inside (a router, a cloud's metadata at 169.254.169.254) are reached from here and not from there, so they aren't asked for
somebody from outside. What a name stands for is not looked up: it may be another address a moment later. But where such an
address is asked, it is over TLS, and nobody inside has a certificate for a stranger's name.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

_INSIDE = ("localhost", "local", "internal", "home.arpa", "intranet", "lan", "localdomain")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def leads_inside(url: str) -> bool:
    """Whether the host of `url` is this machine or in a private network, by its own words, in whatever spelling."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return False
    if host in _INSIDE or host.endswith(tuple(f".{name}" for name in _INSIDE)):
        return True
    address = _address(host)
    if address is None:
        return bool(host) and "." not in host and ":" not in host  # a name that only a network's own server knows
    return address.is_multicast or not address.is_global


def may_lead_to(here: str, there: str) -> bool:
    """Whether somebody at the address `here` may send us to `there`: inside only those who are inside themselves."""
    return not leads_inside(there) or leads_inside(here)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))  # 127.1, 0x7f000001, 2130706433
        except (OSError, ValueError):
            return None
    if isinstance(found, ipaddress.IPv6Address):
        if found in _NAT64:
            return ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        return found.ipv4_mapped or found.sixtofour or found
    return found
