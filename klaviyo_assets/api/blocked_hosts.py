"""Detects host names that a DNS blocklist resolves to an address of this machine."""

import asyncio
import ipaddress

_LOOKUP_TIMEOUT = 5.0
"""Seconds to wait for a name to resolve, after a connection to it has failed."""


async def blocked_address(host: str) -> str | None:
    """Return the address that a host name resolves to if a DNS blocklist seems to block it, else None.

    Blocklists (Pi-hole, AdGuard and others) resolve names to the unspecified address (``0.0.0.0``, ``::``) or a
    loopback address, which no public host has.

    Args:
        host: Host of a URL. Literal addresses and ``localhost`` are never reported as blocked.
    """
    if _is_literal(host) or host.rstrip(".").rpartition(".")[2].lower() == "localhost":
        return None
    try:
        async with asyncio.timeout(_LOOKUP_TIMEOUT):
            found = await asyncio.get_running_loop().getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return None
    addresses = [ipaddress.ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]
    local = [address for address in addresses if address.is_unspecified or address.is_loopback]
    return str(local[0]) if local and len(local) == len(addresses) else None


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True
