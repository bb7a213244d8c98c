"""Where a lake can be: a folder, or `s3://bucket/prefix`, and what is wrong with one that can't.

Called by `spec.reading` with what platform.yaml says, and by whoever opens the lake, whose root may
come from a variable that wasn't set when the file was read.
"""

import re
from collections.abc import Iterator, Mapping

from data_platform.errors import PermanentError, Problem
from data_platform.spec.document import Document
from data_platform.spec.platform import Platform, S3Connection
from data_platform.spec.references import references
from data_platform.spec.variables import expand
from data_platform.spec.wording import hint, show

SCHEME = "s3://"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PART = re.compile(r"[A-Za-z0-9!_.'()=-]+")


def wrong_root(root: str) -> str | None:
    """What is wrong with a root whose variables have values; None where nothing is."""
    if not root.startswith(SCHEME):
        if _URL.match(root):
            return f"{show(root)} is no place of a lake: a folder, or s3://bucket/prefix"
        return None
    bucket, _, prefix = root.removeprefix(SCHEME).partition("/")
    if not _BUCKET.fullmatch(bucket):
        return (
            f"{show(bucket)} in {show(root)} is no name of a bucket: 3 to 63 small letters, "
            "digits, dots and hyphens, as in s3://bucket/prefix"
        )
    parts = prefix.rstrip("/").split("/") if prefix.rstrip("/") else []
    for part in parts:
        if not _PART.fullmatch(part) or part in {".", ".."}:
            return (
                f"{show(part)} in {show(root)} is no part of a prefix: letters, digits and "
                "! - _ . ' ( ) =, without an empty part"
            )
    return None


def lake_problems(
    platform: Platform, document: Document, environ: Mapping[str, str]
) -> Iterator[Problem]:
    """What is wrong with `lake` in platform.yaml, as far as the environment tells.

    Args:
        platform: as it was read.
        document: for places.
        environ: for the variables of `root`; one that isn't set is no mistake before it is used.
    """
    lake = platform.lake
    try:
        root = expand(lake.root, environ)
    except PermanentError:
        root = None
    if root is not None and (wrong := wrong_root(root)):
        yield Problem(document.locate("lake", "root"), wrong)
        return
    if lake.connection is None:
        return
    at = document.locate("lake", "connection")
    known = {n: c for n, c in platform.connections.items() if isinstance(c, S3Connection)}
    named = platform.connections.get(lake.connection)
    there = ", ".join(known) or "none"
    if named is None:
        near = hint(lake.connection, known)
        text = f"no connection {show(lake.connection)}; there are of type s3: {there}{near}"
        yield Problem(at, text)
    elif not isinstance(named, S3Connection):
        text = f"connection {show(lake.connection)} is of type {named.type}: a lake takes one of "
        yield Problem(at, f"{text}type s3; there are: {there}")
    # Of a root that is a variable's, a folder may be that of one machine among others.
    elif not lake.root.startswith(SCHEME) and not references(lake.root):
        text = f"`connection` is for a lake on S3, and {show(lake.root)} is a folder: leave it out"
        yield Problem(at, f"{text}, or name s3://bucket/prefix as `root`")
    elif root is not None and (wrong := _other_bucket(root, named)):
        yield Problem(at, wrong)


def _other_bucket(root: str, connection: S3Connection) -> str | None:
    bucket = root.removeprefix(SCHEME).partition("/")[0]
    if not root.startswith(SCHEME) or connection.bucket is None or references(connection.bucket):
        return None
    if connection.bucket == bucket:
        return None
    return f"the lake is in the bucket {bucket}, and the connection has {connection.bucket}"
