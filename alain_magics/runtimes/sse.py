"""Server-sent events and lines out of bytes that arrive in any pieces.

Source: the WHATWG HTML standard, "Server-sent events". Bytes are cut into lines before they are decoded, so that
characters split between frames, and U+2028 within JSON, do no harm. Two things differ from the standard, for the sake
of servers: data of nothing but white space is no event, and an event that the end of the stream cut off is given.
"""

from __future__ import annotations

from alain_magics.errors import BadProtocol

LIMIT = 16 * 2**20
"""Bytes of the largest line or event: more comes only from a server that has lost its way."""

OBJECT = 64
"""Bytes that a line of data takes beside its own, so that many short ones count too."""

BOM = b"\xef\xbb\xbf"


class SseDecoder:
    """Cuts bytes into events: ``feed`` returns the ``(event, data)`` pairs that are complete; data is never blank."""

    def __init__(self) -> None:
        self._line = bytearray()  # the line that has not ended
        self._event = b""
        self._data: list[bytes] = []
        self._size = 0  # what the data takes
        self._after_cr = False  # whether a line feed would belong to the end of the last line
        self._first = True  # whether a byte order mark may come

    def feed(self, chunk: bytes) -> list[tuple[bytes, bytes]]:
        """Take the next bytes and return the events that ended in them; ``BadProtocol`` for one that is too large."""
        # Nearly always a chunk is one event of one line.
        if (
            chunk[:6] == b"data: "
            and chunk[-2:] == b"\n\n"
            and chunk.find(b"\n") == len(chunk) - 2
            and b"\r" not in chunk
            and not (self._line or self._data or self._event)
        ):
            self._after_cr = self._first = False
            data = chunk[6:-2]
            return [] if not data or data.isspace() else [(b"", data)]
        return self._lines(chunk)

    def finish(self) -> list[tuple[bytes, bytes]]:
        """Return the event that the end of the stream left without its empty line; it may be cut."""
        return self._lines(b"\n\n")

    def _lines(self, chunk: bytes) -> list[tuple[bytes, bytes]]:
        found: list[tuple[bytes, bytes]] = []
        if not chunk:
            return found
        if self._after_cr and chunk[:1] == b"\n":
            chunk = chunk[1:]
        self._after_cr = chunk[-1:] == b"\r"
        for line in chunk.splitlines(keepends=True):
            if line[-1:] not in b"\r\n":
                self._line += line
            elif self._line:
                self._take(bytes(self._line + line).rstrip(b"\r\n"), found)
                self._line.clear()
            else:
                self._take(line.rstrip(b"\r\n"), found)
        if len(self._line) + self._size > LIMIT:
            raise BadProtocol(f"A single event has more than {LIMIT >> 20} MiB.", "The server seems to be broken.")
        return found

    def _take(self, line: bytes, found: list[tuple[bytes, bytes]]) -> None:
        if self._first:
            line = line.removeprefix(BOM)
            self._first = False
        if not line:
            data = b"\n".join(self._data)
            if data and not data.isspace():
                found.append((self._event, data))
            self._event, self._data, self._size = b"", [], 0
            return
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(value) + OBJECT
        elif name == b"event":
            self._event = value.removeprefix(b" ")


class LineDecoder:
    """Cuts bytes into lines: for runtimes that send one JSON document a line."""

    def __init__(self) -> None:
        self._line = bytearray()  # the line that has not ended

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes and return the lines that ended in them, without blank ones."""
        head, newline, tail = chunk.partition(b"\n")
        self._line += head
        if len(self._line) > LIMIT:
            raise BadProtocol(f"A single line has more than {LIMIT >> 20} MiB.", "The server seems to be broken.")
        if not newline:
            return []
        lines = [bytes(self._line), *tail.split(b"\n")]
        self._line = bytearray(lines.pop())
        return [line for line in lines if line and not line.isspace()]

    def finish(self) -> list[bytes]:
        """Return what stands after the last line's end, if anything; it may be cut."""
        return self.feed(b"\n")
