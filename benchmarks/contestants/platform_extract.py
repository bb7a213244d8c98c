"""PostgreSQL to Parquet by the platform's own parts.

    platform_extract.py copy|land SOURCE FIRST_DAY END_DAY FOLDER

`copy` is the move alone: `sources.database` read by DuckDB's COPY with the options of
`storage.publish`. `land` is the whole raw asset: data versions, audit, commit and all.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import adbc_driver_postgresql.dbapi  # noqa: F401 -- imported when something connects otherwise
from contestants.moving import moving
from ground import load_pipelines

from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import DatabaseTable, RawNode
from data_platform.raw.extraction import extract
from data_platform.sources.database import read_table


def main() -> None:
    mode, name, first, end, folder = sys.argv[1:]
    loaded = load_pipelines(dict(os.environ))
    node = loaded.plan[Key("raw", "bench", name)]
    assert isinstance(node, RawNode)
    assert isinstance(node.source, DatabaseTable)
    workbench, url = loaded.workbench(), loaded.connection_url("shop")
    keys = node.partitions.between(first, end) if node.partitions else [WHOLE]
    with moving() as facts:
        if mode == "copy":
            with (
                workbench.open([folder]) as (session, _),
                read_table(url, node.source, None) as read,
            ):
                session.register("_batches", read.reader)
                select = ", ".join(read.select.values())
                session.run(
                    f"COPY (SELECT {select} FROM _batches) TO '{folder}/data.parquet' "
                    "(FORMAT parquet, COMPRESSION zstd, RETURN_STATS true)"
                )
        else:
            passage = extract(node, keys, workbench, loaded.connection_url, {"run_id": "benchmark"})
            facts["failed"] = len(passage.failed)


if __name__ == "__main__":
    main()
