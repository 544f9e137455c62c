"""A network that fails where a test says: a proxy that cuts, stalls or delays a connection
between two given bytes."""

from __future__ import annotations

import re
import select
import socket
import ssl
import threading
import time
from dataclasses import dataclass

from fakes import Cut, Fake
from servers import HOST


@dataclass
class Fault:
    """What happens to a connection, and between which bytes of it."""

    what: str  # "cut", "reset", "stall", or "delay"
    at: int | bytes  # so many bytes on, or where this pattern has matched ...
    before: bool = False  # ... (True: where its match begins)
    skip: int = 0  # ... and so many bytes after that
    up: bool = False  # bytes to the server; else those from it
    times: int = 1  # connections that it happens to
    seconds: float = 0.7  # of a delay

    def place(self, stream: bytes) -> int | None:
        """Where in this beginning of the stream it happens, if it does."""
        if isinstance(self.at, int):
            place = self.at
        elif match := re.search(self.at, stream, re.DOTALL):
            place = (match.start() if self.before else match.end()) + self.skip
        else:
            return None
        return place if place <= len(stream) else None


class Proxy(Fake):
    """Carries every byte to a port and back, but for the fault. With tls it is the one who
    speaks TLS to the server, so that faults can be placed by what is said."""

    def __init__(self, port: int, fault: Fault | None = None,
                 tls: ssl.SSLContext | None = None) -> None:
        self.target = port
        self.fault = fault
        self.tls = tls
        self.happened = 0
        self._lock = threading.Lock()
        self.heard: dict[bool, bytes] = {}  # by up, of the last connection
        super().__init__()

    def serve(self, link: socket.socket) -> None:
        with self._reach() as far:
            self._links.append(far)
            heard = self.heard = {True: b"", False: b""}
            while True:
                for source in self._ready(link, far):
                    data = source.recv(65536)
                    if not data:
                        return
                    up = source is link
                    heard[up] += data
                    self._carry(heard[up], len(data), far if up else link, up)

    def _reach(self) -> socket.socket:
        raw = socket.create_connection((HOST, self.target), 10)
        raw.settimeout(None)
        if self.tls is None:
            return raw
        # TLS 1.3 sends records of its own, which select() takes for data.
        self.tls.maximum_version = ssl.TLSVersion.TLSv1_2
        return self.tls.wrap_socket(raw, server_hostname="localhost")

    @staticmethod
    def _ready(*ends: socket.socket) -> list[socket.socket]:
        held = [end for end in ends if isinstance(end, ssl.SSLSocket) and end.pending()]
        return held or select.select(ends, [], [])[0]

    def _carry(self, stream: bytes, new: int, sink: socket.socket, up: bool) -> None:
        """The last bytes of the stream go on, up to where the fault is."""
        sent = len(stream) - new
        place = self._place(stream, up)
        if place is not None:
            sink.sendall(stream[sent:place])
            sent = max(sent, place)
            self._happen()
        sink.sendall(stream[sent:])

    def _place(self, stream: bytes, up: bool) -> int | None:
        if self.fault is None or self.fault.up != up:
            return None
        with self._lock:
            place = self.fault.place(stream) if self.happened < self.fault.times else None
            self.happened += place is not None
        return place

    def _happen(self) -> None:
        assert self.fault is not None
        if self.fault.what == "delay":
            time.sleep(self.fault.seconds)
        elif self.fault.what == "stall":
            time.sleep(60)  # the test closes us before that
            raise Cut
        else:
            raise Cut(self.fault.what == "reset")
