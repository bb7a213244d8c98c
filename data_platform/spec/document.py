"""A YAML file that a person wrote, with the place of each key and item.

Read by `spec.reading`; `plan` keeps it to say where something stands. Must not know the language's
models, and never raises anything but `ConfigurationError` over a file's content.
"""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.spec.yaml_tree import Child, Node, parse_tree

MAX_BYTES = 1_000_000
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


@dataclass(frozen=True)
class Document:
    """A file's content as written: variables are not expanded.

    Attributes:
        path: the file.
        root: what the YAML means, with the place of each key and item.
        problems: mistakes around which reading could go on, such as a key given twice.
        digest: a hash of its text.
    """

    path: Path
    root: Node = field(repr=False)
    problems: tuple[Problem, ...] = ()
    digest: str = field(default="", repr=False)

    @property
    def data(self) -> dict[str, Any]:
        """What the YAML means: a mapping of None, bool, int, float, str, list, dict."""
        return self.root.value

    def locate(self, *keys: str | int) -> Location:
        """Where the deepest key or item on the way of `keys` stands.

        Elements that fit nothing are skipped: pydantic puts the names of a union's branches into
        its locations, and a short form has fewer levels than the model. The item of a list may be
        named by its index or, a text, by itself.
        """
        found = self._find(keys)
        return Location(self.path, found.line, found.column) if found else Location(self.path)

    def written(self, *keys: str | int) -> Any:
        """The value at the place that `locate` gives, as written."""
        found = self._find(keys)
        return found.node.value if found else self.data

    def _find(self, keys: tuple[str | int, ...]) -> Child | None:
        found, node = None, self.root
        for key in keys:
            child = _below(node, key)
            if child is not None:
                found, node = child, child.node
        return found


def _below(node: Node, key: str | int) -> Child | None:
    if isinstance(node.value, list) and isinstance(key, str):
        items = node.children.values()
        return next((child for child in items if child.node.value == key), None)
    return node.children.get(key)


def read_document(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        ConfigurationError: where there is nothing to go on with; else see `Document.problems`.
    """
    text = read_text(path)
    tree = parse_tree(text, path)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Document(path, tree.root, tree.problems, digest)


def read_text(path: Path) -> str:
    """The text of a file that a person wrote: UTF-8, at most `MAX_BYTES` long.

    Raises:
        ConfigurationError: if it is anything else.
    """
    content = _read_bytes(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        raise _refusal(path, "not UTF-8 text: save the file as UTF-8", line, column) from None
    if wrong := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, wrong.start()) + 1
        column = wrong.start() - text.rfind("\n", 0, wrong.start())
        raise _refusal(path, f"not text: the character U+{ord(wrong[0]):04X}", line, column)
    return text


def _read_bytes(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise _refusal(path, "no file" if path.exists() else "there is no such file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _refusal(path, f"can't be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise _refusal(path, f"larger than {MAX_BYTES:,} bytes, which no pipeline needs")
    return content


def _refusal(path: Path, message: str, line: int = 1, column: int = 1) -> ConfigurationError:
    return ConfigurationError([Problem(Location(path, line, column), message)])
