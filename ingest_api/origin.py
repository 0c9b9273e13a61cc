"""What the edge knows of where a request comes from: country, shortened address, user agent."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from ingest_api.rsgi import Scope
from ingest_api.settings import Settings

_USER_AGENT_CHARACTERS = 255
_COUNTRY_CHARACTERS = 64
_KEPT_BITS = {4: 24, 6: 48}
Network = IPv4Network | IPv6Network


class Origin:
    """Reads a request's origin; headers that a gateway sets count only when a trusted gateway sent them."""

    def __init__(self, api: Settings) -> None:
        """Take the settings, whose networks were looked at when they were read."""
        self._trusted: list[Network] = [ip_network(text, strict=False) for text in api.trusted_proxies]
        self._country_header = api.country_header.lower()
        self._keep_ip = api.client_ip == "truncated"
        self._asks_gateway = bool(self._trusted and (self._country_header or self._keep_ip))

    def of(self, scope: Scope) -> dict[str, str]:
        """Return the envelope's fields that are known."""
        found = {"user_agent": _clean(scope.headers.get("user-agent"), _USER_AGENT_CHARACTERS)}
        if not (self._asks_gateway or self._keep_ip):
            return found
        peer = scope.client.rpartition(":")[0].strip("[]")
        is_gateway = self._is_trusted(peer)  # its own address is nobody's who sends events
        if is_gateway and self._country_header:
            # A gateway that appends writes last; whatever stands before may be the client's own.
            countries = scope.headers.get_all(self._country_header) or [""]
            found["country"] = _clean(countries[-1], _COUNTRY_CHARACTERS)
        if self._keep_ip:
            client = self._client(scope.headers.get_all("x-forwarded-for")) if is_gateway else peer
            found["client_ip"] = truncated(client)
        return found

    def _client(self, forwarded: list[str]) -> str:
        """Return the last address that no trusted gateway added: what stands before it anybody may have written."""
        for address in reversed([_without_port(part.strip()) for part in ",".join(forwarded).split(",")]):
            if address and not self._is_trusted(address):
                return address
        return ""

    def _is_trusted(self, address: str) -> bool:
        parsed = _parsed(address)
        return parsed is not None and any(parsed in network for network in self._trusted)


def _without_port(address: str) -> str:
    """Return the address of `1.2.3.4:567` or `[::1]:567`, as some gateways write it."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


def truncated(address: str) -> str:
    """Return the network of an address: 24 bits of IPv4, 48 of IPv6; empty for what is no address."""
    parsed = _parsed(address)
    return str(ip_network((parsed, _KEPT_BITS[parsed.version]), strict=False).network_address) if parsed else ""


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    """Read an address; one of IPv4 that a socket of both families shows as IPv6 is the IPv4 address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def _clean(text: str | None, most: int) -> str:
    """Return a header value as UTF-8 text of a bounded length, without control characters."""
    if not text:
        return ""
    kept = text[:most].encode("utf-8", "replace").decode()
    return kept if kept.isprintable() else "".join(filter(str.isprintable, kept))
