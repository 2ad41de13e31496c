"""Host names that lead nowhere: lists that block trackers resolve them to an address of this machine."""

import asyncio
import ipaddress

_PATIENCE = 5.0
"""Seconds that resolving a name may take, once a connection to it has failed."""


async def address_of_a_blocked_name(host: str) -> str | None:
    """Return the address of a host name that a list of trackers blocks on this machine or in its network, None if none seems to.

    Such lists (Pi-hole, AdGuard and others) resolve names to the unspecified address (``0.0.0.0``, ``::``) or a
    loopback address, which no public host has.

    Args:
        host: Host of a URL. A literal address and ``localhost`` are meant to be what they are.
    """
    if _is_literal(host) or host.rstrip(".").rpartition(".")[2].lower() == "localhost":
        return None
    try:
        async with asyncio.timeout(_PATIENCE):
            found = await asyncio.get_running_loop().getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return None
    addresses = [ipaddress.ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]
    nowhere = [address for address in addresses if address.is_unspecified or address.is_loopback]
    return str(nowhere[0]) if nowhere and len(nowhere) == len(addresses) else None


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True
