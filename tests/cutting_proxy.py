"""A line that breaks: a proxy on loopback that cuts connections after so many bytes."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path


class CuttingProxy:
    """Passes bytes between clients on loopback and a server, and cuts connections.

    Args:
        target: path of the server's Unix socket, or its port on loopback.
        cut_after: bytes from the server after which each of the first connections is cut.
        cuts: how many connections are cut.
    """

    def __init__(self, target: Path | int, cut_after: int, cuts: int) -> None:
        self._target = target
        self._cut_after = cut_after
        self._cuts = cuts
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            allowed = self._cut_after if self.connections <= self._cuts else 1 << 60
            server = self._connected()
            threading.Thread(target=self._pass, args=(client, server, 1 << 60), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, allowed), daemon=True).start()

    def _connected(self) -> socket.socket:
        if isinstance(self._target, int):
            return socket.create_connection(("127.0.0.1", self._target))
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(self._target))
        return server

    def _pass(self, source: socket.socket, target: socket.socket, allowed: int) -> None:
        with suppress(OSError):
            while allowed > 0 and (data := source.recv(min(65_536, allowed))):
                allowed -= len(data)
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
