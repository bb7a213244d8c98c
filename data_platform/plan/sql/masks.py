"""How a value is masked: the SQL of `hash`, `redact` and `partial`, and the key behind `hash`.

Used by `plan.staging.steps` for what runs and is shown, by `plan.sql.binder` and `engine.session`
for the macros that statements name, and by `plan.lineage.expressions`, for which a masked value is
none. The key stands in no statement: sessions hold it as variables, cut into the two blocks of
HMAC.
"""

import hashlib
from collections.abc import Iterable, Mapping

from sqlglot import exp

from data_platform.errors import PermanentError
from data_platform.spec.transformations import MaskMethod

REDACTED = "[redacted]"
"""In place of every value that `redact` masks."""
SHOWN = 4
"""Characters that `partial` leaves at most, and never more than a third of a value."""
LEAST_KEY = 16
"""Characters of a key: whoever holds tokens must not find it by trying."""
INNER, OUTER = "_masking_inner", "_masking_outer"
"""Variables of a session: the key's block for each of the two rounds, as BLOB."""
_BLOCK = 64
"""Bytes of a block of SHA-256."""
_CANONICAL = "mask_text"
FUNCTIONS: Mapping[MaskMethod, str] = {
    "hash": "mask_hash",
    "redact": "mask_redact",
    "partial": "mask_partial",
}
"""The macro of each method, as the SQL that `explain` shows has it."""
_STRENGTH: tuple[MaskMethod, ...] = ("redact", "hash", "partial")

_TEXT = "CAST(value AS VARCHAR)"
_HUGE = "COALESCE(CAST(TRY_CAST(written AS HUGEINT) AS VARCHAR), written)"
_SHORT = r"regexp_replace(regexp_replace(written, '(\.[0-9]*?)0+$', '\1'), '\.$', '')"
_KEYED = "CAST(COALESCE(getvariable('{}'), error('no key of masking is set')) AS BLOB)"
MACROS = (
    # 1, 1.00 and the double 1.0 are one value: a number is written without what says nothing.
    (
        f"CREATE OR REPLACE MACRO {_CANONICAL}(written, kind) AS CASE "
        "WHEN kind NOT IN ('FLOAT', 'DOUBLE') AND NOT starts_with(kind, 'DECIMAL') THEN written "
        f"WHEN contains(written, 'e+') THEN {_HUGE} "
        rf"ELSE regexp_replace({_SHORT}, '^-0$', '0') END"
    ),
    (
        f"CREATE OR REPLACE MACRO {FUNCTIONS['hash']}(value) AS "
        f"sha256({_KEYED.format(OUTER)} || unhex(sha256({_KEYED.format(INNER)} || "
        f"encode({_CANONICAL}({_TEXT}, typeof(value))))))"
    ),
    (
        f"CREATE OR REPLACE MACRO {FUNCTIONS['redact']}(value) AS "
        f"CASE WHEN value IS NOT NULL THEN '{REDACTED}' END"
    ),
    (
        f"CREATE OR REPLACE MACRO {FUNCTIONS['partial']}(value) AS "
        f"'***' || right({_TEXT}, CAST(least({SHOWN}, length({_TEXT}) // 3) AS BIGINT))"
    ),
)
"""What a database must know before a statement that masks; made anew they are the same."""


def masked_by(method: MaskMethod, value: str) -> str:
    """The SQL of masked values, of SQL that gives values; NULL stays NULL."""
    return f"{FUNCTIONS[method]}({value})"


def replacement(relation: str, columns: Iterable[str], how: Mapping[str, MaskMethod]) -> str:
    """What stands behind `relation.*` so that some columns are masked; nothing where none is.

    Args:
        relation: its alias.
        columns: that it has.
        how: each is masked, by its name in lower case.
    """
    quoted = {name: exp.to_identifier(name, quoted=True).sql("duckdb") for name in columns}
    masks: dict[str, MaskMethod] = {
        name: how[name.lower()] for name in quoted if name.lower() in how
    }
    replaced = ", ".join(
        f"{masked_by(method, f'{relation}.{quoted[name]}')} AS {quoted[name]}"
        for name, method in masks.items()
    )
    return f" REPLACE ({replaced})" if replaced else ""


def stronger(one: MaskMethod, other: MaskMethod) -> MaskMethod:
    """Which of two methods leaves less of a value."""
    return one if _STRENGTH.index(one) <= _STRENGTH.index(other) else other


def blocks_of(key: str) -> dict[str, bytes]:
    """The values of a session's variables.

    Raises:
        PermanentError: the key is too short to be one. Its text isn't in the message.
    """
    if len(key) < LEAST_KEY:
        raise PermanentError(
            f"the key of `masking` in platform.yaml has {len(key)} characters, and at least "
            f"{LEAST_KEY} are needed: make one by `openssl rand -hex 32`, and keep it"
        )
    secret = key.encode()
    block = (hashlib.sha256(secret).digest() if len(secret) > _BLOCK else secret).ljust(
        _BLOCK, b"\0"
    )
    return {
        INNER: bytes(byte ^ 0x36 for byte in block),
        OUTER: bytes(byte ^ 0x5C for byte in block),
    }
