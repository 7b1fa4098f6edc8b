"""Loopback ports, held so that nobody else gets one before its server is up or while it is restarted."""

import errno
import os
import socket
from pathlib import Path

HOST = "127.0.0.1"

_LISTENING = "0A"


class PortUnusable(Exception):
    """A server of ours cannot have this port; the message says why, and who has it where that can be told."""


class Reservation:
    """A port that is bound without listening: others are not given it, the server it is for still can."""

    def __init__(self, held: socket.socket) -> None:
        self._socket = held
        self.port: int = held.getsockname()[1]

    @classmethod
    def take(cls, port: int = 0) -> "Reservation":
        """0: any free one. Raises `PortUnusable`."""
        held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((HOST, port))
        except OSError as failure:
            held.close()
            if failure.errno == errno.EADDRINUSE:
                raise PortUnusable(f"port {port} is taken{holder_of(port)}") from failure
            raise PortUnusable(f"port {port} cannot be used: {failure.strerror}") from failure
        return cls(held)

    def release(self) -> None:
        self._socket.close()


def holder_of(port: int) -> str:
    """` by process 4711 (python)`, or nothing where the system does not say."""
    inodes = _listening_inodes(port)
    links = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*") if links else ():
        try:
            if any(os.readlink(descriptor) in links for descriptor in (process / "fd").iterdir()):
                return f" by process {process.name} ({(process / 'comm').read_text().strip()})"
        except OSError:
            continue
    return ""


def _listening_inodes(port: int) -> set[str]:
    """The sockets that listen on a port, from Linux's table (proc(5)); empty elsewhere."""
    try:
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    except OSError:
        return set()
    return {row[9] for row in rows if row[3] == _LISTENING and int(row[1].rpartition(":")[2], 16) == port}
