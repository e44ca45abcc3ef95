"""Server-sent events and lines out of bytes that arrive in any pieces.

Source: the WHATWG HTML standard, "Server-sent events". Bytes are cut into lines before they are decoded, so that
characters split between frames, and U+2028 within JSON, do no harm.
"""

from __future__ import annotations


class SseDecoder:
    """Cuts bytes into events: ``feed`` returns the ``(event, data)`` pairs that are complete; data is never empty."""

    def __init__(self) -> None:
        self._rest = b""
        self._event = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[tuple[bytes, bytes]]:
        """Take the next bytes and return the events that ended in them."""
        found: list[tuple[bytes, bytes]] = []
        lines = (self._rest + chunk).splitlines(keepends=True)
        self._rest = b""
        if lines and not lines[-1].endswith(b"\n"):  # a lone CR may be half of CRLF
            self._rest = lines.pop()
        for line in lines:
            self._take(line.rstrip(b"\r\n"), found)
        return found

    def finish(self) -> list[tuple[bytes, bytes]]:
        """Return the event that the end of the stream left without its empty line."""
        found: list[tuple[bytes, bytes]] = []
        if self._rest:
            self._take(self._rest.rstrip(b"\r\n"), found)
        self._take(b"", found)
        return found

    def _take(self, line: bytes, found: list[tuple[bytes, bytes]]) -> None:
        if not line:
            if self._data and (data := b"\n".join(self._data)):
                found.append((self._event, data))
            self._event, self._data = b"", []
        elif line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line.startswith(b"event:"):
            self._event = line[6:].strip()


class LineDecoder:
    """Cuts bytes into lines: for runtimes that send one JSON document a line."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes and return the lines that ended in them, without empty ones."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [line for line in lines if line.strip()]

    def finish(self) -> list[bytes]:
        """Return what stands after the last line's end, if anything."""
        rest, self._rest = self._rest, b""
        return [rest] if rest.strip() else []
