"""Standard output and error of a step, written to logs without secrets.

Called by `instance.compute_logs`. What is printed, by Python, by libraries and by processes that
were started, goes into a file without a name, which nobody else can open; a thread reads it, masks
it, and writes it to the log and to where it would have gone. A pipe in its place would stop the
whole process as soon as a library prints much and holds Python's lock meanwhile.
"""

import contextlib
import fcntl
import os
import tempfile
import threading
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from data_platform.secrets.masker import mask

SECONDS = 0.1
"""Between two looks for what was printed; a process that is killed loses what came since."""
_PIECE = 1 << 20
"""Bytes that are read at once, and of which a line is cut that has no end."""


@contextmanager
def masked_streams(streams: Sequence[tuple[TextIO, Path]]) -> Generator[None]:
    """Lead streams into logs for as long as the block runs.

    Args:
        streams: each with the log that is written; one that is no file, as a test may have, stays.
    """
    with ExitStack() as stack:
        channels = [
            stack.enter_context(_led_away(stream, descriptor, log))
            for stream, log in streams
            if (descriptor := _descriptor(stream)) is not None
        ]
        ended = threading.Event()
        reader = threading.Thread(
            target=_read_all, args=(channels, ended), name="masked-streams", daemon=True
        )
        reader.start()
        try:
            yield
        finally:
            ended.set()
            reader.join()


class _Channel:
    """One stream.

    Args:
        printed: the file without a name.
        shown: where the stream would have gone.
        log: is added to.
    """

    def __init__(self, printed: int, shown: int, log: int) -> None:
        self._printed, self._targets = printed, [shown, log]
        self._read = 0
        self._begun = b""

    def pass_on(self, *, whole: bool = False) -> None:
        """Pass on the lines that have come since.

        Args:
            whole: also one that has no end yet.
        """
        while piece := os.pread(self._printed, _PIECE, self._read):
            self._read += len(piece)
            text = self._begun + piece
            end = max(text.rfind(b"\n"), text.rfind(b"\r")) + 1
            if end == 0 and len(text) >= _PIECE:
                end = len(text)
            self._begun = text[end:]
            self._write(text[:end])
        if whole:
            self._write(self._begun)
            self._begun = b""

    def _write(self, text: bytes) -> None:
        if not text:
            return
        masked = mask(text.decode(errors="surrogateescape")).encode(errors="surrogateescape")
        for target in self._targets:
            # A full disk or a terminal that was closed must not end a run.
            with contextlib.suppress(OSError):
                _write_all(target, masked)


def _read_all(channels: Sequence[_Channel], ended: threading.Event) -> None:
    while not ended.wait(SECONDS):
        for channel in channels:
            channel.pass_on()


@contextmanager
def _led_away(stream: TextIO, descriptor: int, log: Path) -> Generator[_Channel]:
    with ExitStack() as stack:
        log.parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        stack.callback(os.close, opened)
        printed = _nameless(log.parent)
        stack.callback(os.close, printed)
        shown = os.dup(descriptor)
        stack.callback(os.close, shown)
        channel = _Channel(printed, shown, opened)
        stack.callback(channel.pass_on, whole=True)
        stream.flush()
        os.dup2(printed, descriptor)
        try:
            yield channel
        finally:
            stream.flush()
            os.dup2(shown, descriptor)


def _nameless(folder: Path) -> int:
    """A file on the disk of a folder that nobody finds there."""
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_APPEND, 0o600)
    except OSError:  # this kind of disk has none
        descriptor, name = tempfile.mkstemp(dir=folder)
        Path(name).unlink()
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_APPEND)
        return descriptor


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, AttributeError, ValueError):
        return None


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
