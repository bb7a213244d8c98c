"""Whether a request is from who knows the secret, and from now.

Called by `serving`. The signature is HMAC-SHA256 over the timestamp, a full stop and the body. Must
not know HTTP.
"""

import hashlib
import hmac
import re
from http import HTTPStatus

SKEW = 300
"""Seconds that a sender's clock may differ."""
SHORTEST_SECRET = 16
_SIGNATURE = re.compile(r"(?:sha256=)?([0-9a-f]{64})", re.IGNORECASE)
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class RefusedError(Exception):
    """Why a request isn't taken; its text is meant for the sender.

    Args:
        status: of the answer.
        reason: in words.
    """

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def signature_of(secret: str, timestamp: str, body: bytes) -> str:
    """As a sender computes it, in hexadecimal digits."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def verified(
    secret: str, signature: str | None, timestamp: str | None, body: bytes, now: float
) -> str:
    """The signature of a request that is sound.

    Args:
        secret: of the webhooks.
        signature: of the header, `sha256=` in front of it or not.
        timestamp: of the header, in seconds since 1970.
        body: as it came.
        now: in seconds since 1970.

    Raises:
        RefusedError: it isn't.
    """
    if signature is None or timestamp is None:
        missing = "X-Signature" if signature is None else "X-Timestamp"
        raise RefusedError(HTTPStatus.UNAUTHORIZED, f"the header {missing} is missing")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise RefusedError(
            HTTPStatus.BAD_REQUEST, "X-Timestamp is no number of seconds since 1970-01-01"
        )
    written = _SIGNATURE.fullmatch(signature.strip())
    if written is None:
        raise RefusedError(
            HTTPStatus.BAD_REQUEST, "X-Signature is no HMAC-SHA256 in 64 hexadecimal digits"
        )
    known = signature_of(secret, timestamp, body)
    if not hmac.compare_digest(known, written[1].lower()):
        raise RefusedError(
            HTTPStatus.UNAUTHORIZED,
            "the signature isn't that of this body: HMAC-SHA256 of `<X-Timestamp>.<body>` with the "
            "secret",
        )
    if abs(now - int(timestamp)) > SKEW:
        raise RefusedError(
            HTTPStatus.UNAUTHORIZED,
            f"X-Timestamp is {abs(now - int(timestamp)):.0f} seconds from now, and may be {SKEW}",
        )
    return known
