"""Secrets that stand in a file as they are: a warning each, with its place.

Called by `spec.reading`. Only what looks secret by its key is looked at: `auth`, headers, and the
key of `masking`; a text with a `${...}` in it is by reference. Must not show a value.
"""

import re
from collections.abc import Iterator

from data_platform.errors import Location, Problem
from data_platform.spec.document import Document
from data_platform.spec.wording import show
from data_platform.spec.yaml_tree import Child, Node

_SECRET_KEYS = frozenset({"token", "password", "value", "client_secret"})
"""Of `auth`."""
_SECRET_HEADER = re.compile(r"authorization|cookie|key|token|secret|password", re.IGNORECASE)
_SECTIONS = ("sources", "connections")


def looks_secret(header: str) -> bool:
    """Whether a header of this name holds a secret, as far as its name tells."""
    return bool(_SECRET_HEADER.search(header))


def written_secrets(document: Document) -> tuple[Problem, ...]:
    """A warning for each secret that is written out in `auth`, `headers` or `masking`."""
    outsides = (outside for section in _SECTIONS for outside in _below(document.root, section))
    named = [
        *(found for each in outsides for found in (*_of_auth(each.node), *_of_headers(each.node))),
        *_of_masking(document.root),
    ]
    found = (
        Problem(
            Location(document.path, child.line, child.column),
            f"{show(name)} is written out here, for whoever reads this file: take it from a "
            "variable, ${NAME}, a file, ${file:/run/secrets/name}, or a store of secrets, "
            "${vault:mount/path#key} or ${aws-secret:name#key}",
            warning=True,
        )
        for name, child in named
        if _is_written_out(child)
    )
    return tuple(sorted(found))


def _below(node: Node, key: str) -> Iterator[Child]:
    if key in node.children:
        yield from node.children[key].node.children.values()


def _of_auth(node: Node) -> Iterator[tuple[str, Child]]:
    auth = node.children.get("auth")
    for name, child in auth.node.children.items() if auth else ():
        if name in _SECRET_KEYS:
            yield str(name), child


def _of_headers(node: Node) -> Iterator[tuple[str, Child]]:
    headers = node.children.get("headers")
    for name, child in headers.node.children.items() if headers else ():
        if isinstance(name, str) and looks_secret(name):
            yield name, child


def _of_masking(root: Node) -> Iterator[tuple[str, Child]]:
    masking = root.children.get("masking")
    if masking and "key" in masking.node.children:
        yield "key", masking.node.children["key"]


def _is_written_out(child: Child) -> bool:
    value = child.node.value
    return isinstance(value, str) and bool(value) and "${" not in value
