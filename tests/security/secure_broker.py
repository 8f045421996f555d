"""A broker that asks for certificates and passwords: TLS and SASL before the embedded broker, which knows neither.

It speaks just enough of the Kafka protocol: it answers the handshake of SASL/PLAIN itself, tells clients its own
address in the broker's place, and passes everything else on as it is.
"""

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

HOST = "127.0.0.1"
API_VERSIONS, SASL_HANDSHAKE, SASL_AUTHENTICATE = 18, 17, 36
UNSUPPORTED_VERSION, AUTHENTICATION_FAILED = 35, 58
_TIMEOUT_S = 30.0


@dataclass
class Seen:
    """What the door has seen.

    Attributes:
        certificates: the names of the clients that came with a good certificate.
        refused: how many handshakes failed, but for those that the client left.
        users: the user of each connection that gave the right password.
        wrong: how often a password was wrong.
        requests: the kinds of requests that were passed on.
        without_user: how many requests came before a password, where one is asked for.
    """

    certificates: list[str] = field(default_factory=list)
    refused: int = 0
    users: list[str] = field(default_factory=list)
    wrong: int = 0
    requests: set[int] = field(default_factory=set)
    without_user: int = 0


class SecureBroker:
    """Listens before a broker on 127.0.0.1.

    Args:
        broker_port: the port of the broker behind it.
        tls: how to speak TLS; None is plain TCP.
        user: user and password to ask for; None asks for none.
    """

    def __init__(self, broker_port: int, tls: ssl.SSLContext | None, user: tuple[str, str] | None = None) -> None:
        self.seen = Seen()
        self._broker_port = broker_port
        self._tls = tls
        self._user = user
        self._listener = socket.create_server((HOST, 0), backlog=64)
        self._port: int = self._listener.getsockname()[1]
        # The broker names itself in its answers; names of one length may be exchanged where they stand.
        self._theirs = HOST.encode() + struct.pack(">i", broker_port)
        self._ours = HOST.encode() + struct.pack(">i", self._port)
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._listen, name="secure-broker", daemon=True).start()

    @property
    def address(self) -> str:
        """host:port for clients."""
        return f"{HOST}:{self._port}"

    def close(self) -> None:
        """Let go of everything."""
        for each in (self._listener, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(_TIMEOUT_S)
        try:
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
                client.recv(0)
        except OSError as error:  # ssl.SSLError too
            # A client that ends while it connects, as of a command that is done, was not refused.
            self.seen.refused += not isinstance(error, ssl.SSLEOFError | ConnectionError)
            client.close()
            return
        with closing(client), socket.create_connection((HOST, self._broker_port)) as broker:
            self._open.update((client, broker))
            with suppress(OSError):
                if isinstance(client, ssl.SSLSocket):
                    self._note_certificate(client)
                if self._user is None or self._log_in(client, broker):
                    self._pass_on(client, broker)
            self._open.difference_update((client, broker))

    def _note_certificate(self, client: ssl.SSLSocket) -> None:
        names = (client.getpeercert() or {}).get("subjectAltName", ())
        self.seen.certificates.extend(value for _, value in names)

    def _log_in(self, client: socket.socket, broker: socket.socket) -> bool:
        """Answer until the client has said the right password."""
        for frame in _frames(client):
            kind, version, number = struct.unpack(">hhi", frame[:8])
            head = frame[4:8]
            if kind == API_VERSIONS and version > 0:
                _send(client, head + struct.pack(">hi", UNSUPPORTED_VERSION, 0))  # it asks again with version 0
            elif kind == API_VERSIONS:
                _send(broker, frame)
                _send(client, _with_sasl(next(_frames(broker))))
            elif kind == SASL_HANDSHAKE:
                _send(client, head + struct.pack(">hih5s", 0, 1, 5, b"PLAIN"))
            elif kind == SASL_AUTHENTICATE:
                said = frame[8 + 2 + _short(frame, 8) + 4 :].split(b"\0")
                right = self._user is not None and said[1:] == [part.encode() for part in self._user]
                if not right:
                    self.seen.wrong += 1
                    text = b"Invalid username or password"
                    _send(client, head + struct.pack(f">hh{len(text)}si", AUTHENTICATION_FAILED, len(text), text, 0))
                    return False
                self.seen.users.append(said[1].decode())
                _send(client, head + struct.pack(">hhi", 0, -1, 0))
                return True
            else:
                self.seen.without_user += 1
                return False
            assert number >= 0
        return False

    def _pass_on(self, client: socket.socket, broker: socket.socket) -> None:
        back = threading.Thread(target=self._answers, args=(broker, client), daemon=True)
        back.start()
        client.settimeout(None)
        for frame in _frames(client):
            self.seen.requests.add(struct.unpack(">h", frame[:2])[0])
            _send(broker, frame)
        with suppress(OSError):
            broker.shutdown(socket.SHUT_RDWR)
        back.join()

    def _answers(self, broker: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            for frame in _frames(broker):
                _send(client, frame.replace(self._theirs, self._ours))


@contextmanager
def secure_broker(
    broker_port: int, tls: ssl.SSLContext | None = None, user: tuple[str, str] | None = None
) -> Iterator[SecureBroker]:
    """Open the door, and close it."""
    door = SecureBroker(broker_port, tls, user)
    try:
        yield door
    finally:
        door.close()


def _frames(sock: socket.socket) -> Iterator[bytes]:
    with sock.makefile("rb") as stream:
        while len(size := stream.read(4)) == 4:
            yield stream.read(struct.unpack(">i", size)[0])


def _send(sock: socket.socket, frame: bytes) -> None:
    sock.sendall(struct.pack(">i", len(frame)) + frame)


def _short(frame: bytes, at: int) -> int:
    """The length of the text there; a text that is null has none."""
    return int(max(0, struct.unpack(">h", frame[at : at + 2])[0]))


def _with_sasl(answer: bytes) -> bytes:
    """The broker's list of what it speaks (version 0), with SASL added."""
    head, (error, count) = answer[:4], struct.unpack(">hi", answer[4:10])
    kinds = [struct.unpack(">hhh", answer[at : at + 6]) for at in range(10, 10 + 6 * count, 6)]
    kinds = [kind for kind in kinds if kind[0] not in (SASL_HANDSHAKE, SASL_AUTHENTICATE)]
    kinds += [(SASL_HANDSHAKE, 0, 1), (SASL_AUTHENTICATE, 0, 0)]
    return head + struct.pack(">hi", error, len(kinds)) + b"".join(struct.pack(">hhh", *kind) for kind in kinds)
