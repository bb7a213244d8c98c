"""Which files of a source were handed to a run: what makes an arrival happen once.

A file is remembered by eight bytes of a hash of its name, size and mark, so that one that lands
with an old time, or is replaced under its name, is told from the one before. What isn't in the
folder any more is forgotten: the memory is as long as the folder, not as its history.

Called by `file_looks`. Must not know Dagster.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from data_platform.sources.files.found import Found

_LENGTH = 8
"""Bytes of a hash: of a million files, two look the same once in 37 million listings."""


def fingerprint(file: Found) -> bytes:
    """Another one where the content may be another one."""
    text = f"{file.name}|{file.bytes}|{file.mark}"
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=_LENGTH).digest()


def digest_of(prints: Iterable[bytes], *more: object) -> str:
    """A short name of a set of files, whatever their order."""
    hashed = hashlib.blake2b(b"".join(sorted(prints)), digest_size=12)
    hashed.update(repr(more).encode())
    return hashed.hexdigest()


@dataclass(frozen=True)
class Memory:
    """Files that need no run any more."""

    prints: frozenset[bytes] = frozenset()

    @property
    def name(self) -> str:
        """By which a cursor refers to it."""
        return digest_of(self.prints)

    def after(self, files: Mapping[bytes, Found], handed: Iterable[Found]) -> "Memory":
        """What is remembered once files were handed to a run.

        Args:
            files: all that there are, by their fingerprints.
            handed: of these.
        """
        return Memory(self.prints & files.keys() | {fingerprint(file) for file in handed})

    def dumped(self) -> str:
        """As text."""
        return base64.b85encode(b"".join(sorted(self.prints))).decode()

    @classmethod
    def loaded(cls, text: str) -> "Memory":
        """From text."""
        joined = base64.b85decode(text)
        return cls(frozenset(joined[at : at + _LENGTH] for at in range(0, len(joined), _LENGTH)))


def new_of(files: Mapping[bytes, Found], memory: Memory) -> Sequence[Found]:
    """The files that no run was asked for."""
    return [file for known, file in files.items() if known not in memory.prints]
