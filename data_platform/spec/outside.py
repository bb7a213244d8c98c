"""What happens outside and is told to the platform: assets of others, and who may speak of them.

Used by `spec.platform` and `spec.asset`; resolved by `plan`.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from data_platform.spec.model import Model
from data_platform.spec.partitions import Partitions
from data_platform.spec.values import RESERVED_NAMES
from data_platform.spec.wording import problem

_PATTERN = r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$"
_OWN = frozenset({*RESERVED_NAMES, "platform"})


def _external_key(value: str) -> str:
    if not re.fullmatch(_PATTERN, value):
        template = "{found} is no key of an asset: its parts joined by slashes, such as crm/people"
        raise problem("external_key", template, value)
    if value.split("/", maxsplit=1)[0] in _OWN:
        names = ", ".join(sorted(_OWN))
        template = f"{{found}} would be an asset of this platform: no key begins with {names}"
        raise problem("external_key", template, value)
    return value


ExternalKey = Annotated[
    str, AfterValidator(_external_key), WithJsonSchema({"type": "string", "pattern": _PATTERN})
]
"""Of an asset that isn't made here, as Dagster's UI shows it."""


class ExternalAsset(Model):
    """An asset that another code location makes, or that a webhook tells of."""

    description: str | None = None
    """What it holds."""
    partitions: Partitions = "none"
    """Those that it has where it is made."""


class Webhooks(Model):
    """Who may tell that an external asset has a new version."""

    secret: Annotated[str, Field(min_length=1, repr=False)]
    """With which senders sign, by reference: at least 16 characters."""
