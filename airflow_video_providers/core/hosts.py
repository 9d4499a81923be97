"""Which hosts are public, as far as their text says: for outputs that are fetched, inputs that are lent, and callbacks."""

from __future__ import annotations

import ipaddress
import unicodedata

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")
# What Python counts as global and is none the less not the public internet: older Pythons have gaps in the
# IANA registries, tunnels carry an IPv4 address of the sender's choice, and one cloud's metadata service
# lives on a public number.
_REFUSED = [
    ipaddress.ip_network(text)
    for text in (
        "168.63.129.16/32",  # Azure's host node
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata service among them
        "192.88.99.0/24",  # 6to4 relays
        "2001::/23",  # Teredo, ORCHID, benchmarks
        "2002::/16",  # 6to4
        "2001:db8::/32",
        "3fff::/20",  # documentation
    )
]
_LOCAL = ("localhost", ".localhost", ".local", ".internal", ".localdomain")


def is_public(text: str) -> bool:
    """Is this a public unicast address, also after unwrapping the IPv4 address that an IPv6 one may carry?

    :raises ValueError: it is no IP address.
    """
    address: IPAddress = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address in _NAT64:
            address = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        elif address not in _GLOBAL_IPV6:
            return False
    refused = any(address in network for network in _REFUSED if network.version == address.version)
    return address.is_global and not address.is_multicast and not refused


def host_name(host: str) -> str:
    """A host as it is compared: as resolvers read its letters and dots, lower case, without brackets and a final dot."""
    plain = unicodedata.normalize("NFKC", host).replace("\N{IDEOGRAPHIC FULL STOP}", ".")
    return plain.strip().strip("[]").rstrip(".").lower()


def is_private(host: str) -> bool:
    """Is it a literal address that is not public, also in the odd ways in which resolvers read numbers, or a local name?"""
    host = host_name(host)
    if host in _LOCAL or host.endswith(_LOCAL):
        return True
    odd = ":" in host or host.rpartition(".")[2][:1].isdigit()
    if not odd:  # a last label that begins with a digit is no name: whatever is no plain public address is refused
        return False
    try:
        if ":" not in host:
            return not is_public(str(ipaddress.IPv4Address(host)))
        return ipaddress.IPv6Address(host.partition("%")[0]).ipv4_mapped is not None or not is_public(host)
    except ValueError:
        return True
