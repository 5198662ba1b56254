"""Messages between the processes: a small JSON header and an opaque body, with lengths and a checksum."""

from __future__ import annotations

import json
import socket
import struct
import zlib
from collections import deque
from collections.abc import Mapping
from typing import Any

Frame = tuple[dict[str, Any], bytes]
HEAD = struct.Struct(">4sIQI")  # mark, bytes of the header, bytes of the body, crc32 of both
MARK = b"hrn1"
CHUNK = 1 << 18


class Damaged(Exception):
    """Bytes that are not a frame."""


def pack(header: Mapping[str, Any], body: bytes = b"") -> bytes:
    """A frame as bytes."""
    text = json.dumps(header).encode()
    return HEAD.pack(MARK, len(text), len(body), zlib.crc32(body, zlib.crc32(text))) + text + body


def unpack(data: bytes | bytearray) -> tuple[Frame, int] | None:
    """The first frame in `data` and its length in bytes; None when it is not all there yet.

    Raises:
        Damaged: the bytes are not a frame.
    """
    if len(data) < HEAD.size:
        return None
    mark, header_bytes, body_bytes, checksum = HEAD.unpack_from(data)
    if mark != MARK:
        raise Damaged("no frame starts here")
    end = HEAD.size + header_bytes + body_bytes
    if len(data) < end:
        return None
    view = memoryview(data)
    text = bytes(view[HEAD.size : HEAD.size + header_bytes])
    body = bytes(view[HEAD.size + header_bytes : end])
    view.release()
    if zlib.crc32(body, zlib.crc32(text)) != checksum:
        raise Damaged("the checksum does not fit")
    return (json.loads(text), body), end


class Stream:
    """A non-blocking socket that carries frames both ways.

    Attributes:
        socket: the socket.
        ended: the other side is gone, or sent bytes that are no frame.
    """

    def __init__(self, channel: socket.socket) -> None:
        channel.setblocking(False)
        self.socket = channel
        self.ended = False
        self._incoming = bytearray()
        self._outgoing: deque[memoryview] = deque()

    def fileno(self) -> int:
        return self.socket.fileno()

    @property
    def unsent(self) -> bool:
        """Bytes wait for the socket to become writable; call `flush` then."""
        return bool(self._outgoing) and not self.ended

    def send(self, header: Mapping[str, Any], body: bytes = b"") -> None:
        """Queue a frame and send as much as the socket takes now."""
        self._outgoing.append(memoryview(pack(header, body)))
        self.flush()

    def flush(self) -> None:
        while self._outgoing and not self.ended:
            first = self._outgoing.popleft()
            try:
                sent = self.socket.send(first)
            except BlockingIOError:
                sent = 0
            except OSError:
                # What the other side sent before it left is still to be read, so this is not yet the end.
                self._outgoing.clear()
                return
            if sent < len(first):
                self._outgoing.appendleft(first[sent:])
                return

    def receive(self) -> list[Frame]:
        """The frames that are complete now; sets `ended` at the end of the stream."""
        for _ in range(64):  # at most 16 MB a call: other sockets want their turn
            try:
                data = self.socket.recv(CHUNK)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self.ended = True
                break
            self._incoming += data
        frames = []
        try:
            while found := unpack(self._incoming):
                frames.append(found[0])
                del self._incoming[: found[1]]
        except Damaged:
            self.ended = True
        return frames

    def close(self) -> None:
        self.ended = True
        self.socket.close()


def read_frame(channel: socket.socket) -> Frame | None:
    """Wait for one frame on a blocking socket; None at the end of the stream."""
    data = bytearray()
    while True:
        found = unpack(data)
        if found:
            return found[0]
        part = channel.recv(CHUNK)
        if not part:
            return None
        data += part
