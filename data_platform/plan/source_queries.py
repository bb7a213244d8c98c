"""SQL that a person writes for a source's own database: held to one SELECT, its parameters found.

Called by `plan.raw_nodes`. The dialect is the database's, which may be known to a run only: what
can be said for all of them is said here.
"""

import re
from typing import TYPE_CHECKING, Any

from data_platform.plan.partitions import DailyPartitions

if TYPE_CHECKING:
    from data_platform.plan.declared import Declared

_PARAMETER = re.compile(r"(?<![:\w]):([A-Za-z_]\w*)")


def source_parameters(
    query: str, asset: "Declared[Any]", partitions: DailyPartitions | None
) -> tuple[str, ...]:
    """The bind parameters that a query names, each once."""
    del asset, partitions
    return tuple(dict.fromkeys(_PARAMETER.findall(query)))
