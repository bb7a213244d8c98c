"""PostgreSQL's types that travel as they are: DuckDB's name of each, and Arrow's type.

Used by what reads tables as sources and by what reads a destination's table back. What isn't here
is asked for as text.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false
# pyarrow comes without types.

import pyarrow as pa

DIRECT = {
    "smallint": ("SMALLINT", pa.int16()),
    "integer": ("INTEGER", pa.int32()),
    "bigint": ("BIGINT", pa.int64()),
    "oid": ("BIGINT", pa.int64()),
    "real": ("FLOAT", pa.float32()),
    "double precision": ("DOUBLE", pa.float64()),
    "boolean": ("BOOLEAN", pa.bool_()),
    "text": ("VARCHAR", pa.string()),
    "bytea": ("BLOB", pa.binary()),
}
TIMES = {
    "date": ("DATE", pa.date32(), "DATE '4800-01-01 (BC)'"),
    "timestamp without time zone": (
        "TIMESTAMP",
        pa.timestamp("us"),
        "TIMESTAMP '4800-01-01 (BC) 00:00:00'",
    ),
    "timestamp with time zone": (
        "TIMESTAMP WITH TIME ZONE",
        pa.timestamp("us", "UTC"),
        "TIMESTAMPTZ '4800-01-01 (BC) 00:00:00+00'",
    ),
}
"""Types of time, with a moment before all that PostgreSQL knows: the driver turns `infinity`, and
times that Arrow can't hold, into one before it."""
