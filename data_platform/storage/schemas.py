"""Schemas of tables: how types are called, and what becomes of them as columns come and change.

Used by `storage` where it writes and reads tables; told apart from them because nothing here knows
where a table is.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyarrow and deltalake come without types.

import hashlib
from pathlib import Path

import pyarrow as pa
from deltalake import Schema as DeltaSchema

from data_platform.errors import ContractError
from data_platform.plan.naming import BATCH_FIELD, PARTITION_FIELD
from data_platform.storage.batches import Batches

_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_BINARIES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)


def columns_hash(schema: pa.Schema) -> str:
    """Names and types of columns in order, in short: files with the same one are read alike."""
    text = "|".join(f"{field.name} {_stored_name(field.type)}" for field in schema)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _stored_name(arrow: pa.DataType) -> str:
    """A type's name, the same for all that Arrow calls one stored type."""
    if pa.types.is_list(arrow) or pa.types.is_large_list(arrow):
        return f"{_stored_name(arrow.value_type)}[]"
    if any(test(arrow) for test in _TEXTS):
        return "string"
    return "binary" if any(test(arrow) for test in _BINARIES) else str(arrow)


def delta_schema(schema: pa.Schema, *, partitioned: bool) -> DeltaSchema:
    """As Delta takes it, with the partition column where there is one."""
    if partitioned:
        schema = schema.append(pa.field(PARTITION_FIELD, pa.string()))
    return DeltaSchema.from_arrow(schema)


def with_batches(schema: pa.Schema, batches: Batches) -> DeltaSchema:
    """As Delta takes it, with the column of batches, which carries how the table grew."""
    said = pa.field(BATCH_FIELD, pa.int64(), metadata=batches.to_metadata())
    return DeltaSchema.from_arrow(schema.append(said))


def merged_schema(current: pa.Schema, new: pa.Schema, path: Path | str) -> pa.Schema:
    """The columns of the table and the new ones.

    Raises:
        ContractError: a column changed its type.
    """
    fields = {column.name: column for column in current}
    for column in new:
        known = fields.setdefault(column.name, column)
        if known.type != column.type and not _same_stored(known.type, column.type):
            raise ContractError(
                f"{path}: column {column.name} is {known.type} in the table and {column.type} now; "
                "convert it back, or rename it, or remove the table and run its partitions again"
            )
    return pa.schema([column.with_nullable(True) for column in fields.values()])  # noqa: FBT003


def _same_stored(known: pa.DataType, new: pa.DataType) -> bool:
    """Arrow has several names for one stored type, such as string and large_string."""
    return _stored_name(known) == _stored_name(new)
