"""Host and port as they are written together, of which family they are, and where who listens there is asked."""

import socket
from ipaddress import ip_address


def bare(host: str) -> str:
    """A host as the system takes it: an IPv6 address without the brackets that it has in an URL.

    >>> bare("[::1]"), bare("kafka-1")
    ('::1', 'kafka-1')
    """
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def host_port(host: str, port: int) -> str:
    """Host and port in one text; an IPv6 address stands in brackets.

    >>> host_port("127.0.0.1", 9464), host_port("::1", 9464)
    ('127.0.0.1:9464', '[::1]:9464')
    """
    name = bare(host)
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def asked_at(host: str) -> str:
    """Where to ask who listens on a host: of all addresses this machine's own.

    >>> asked_at("0.0.0.0"), asked_at("[::]"), asked_at("10.0.0.7")
    ('127.0.0.1', '::1', '10.0.0.7')
    """
    name = bare(host)
    try:
        address = ip_address(name)
    except ValueError:
        return name
    if not address.is_unspecified:
        return name
    return "127.0.0.1" if address.version == 4 else "::1"


def family_of(host: str) -> socket.AddressFamily:
    """The family of a host's addresses; of a name that has both kinds, IPv4.

    Raises:
        OSError: when it has no address.
    """
    name = bare(host)
    found = {family for family, *_ in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    return socket.AF_INET6 if socket.AF_INET not in found and socket.AF_INET6 in found else socket.AF_INET
