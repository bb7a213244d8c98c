"""PostgreSQL to Parquet by the platform's own parts.

    platform_extract.py copy|land SOURCE FIRST_DAY END_DAY FOLDER

`copy` is the move alone: `sources` read by DuckDB's COPY with the options of
`storage.publish`. `land` is the whole raw asset: data versions, audit, commit and all.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import adbc_driver_postgresql.dbapi  # noqa: F401 -- imported when something connects otherwise
from contestants.moving import moving
from ground import load_pipelines
from lakes import METADATA, outside_of

from data_platform.plan.keys import Key
from data_platform.plan.naming import PARTITION, WHOLE
from data_platform.plan.nodes import RawNode
from data_platform.raw.extraction import extract
from data_platform.sources.answering import arriving
from data_platform.sources.arrivals import Question


def main() -> None:
    mode, name, first, end, folder = sys.argv[1:]
    loaded = load_pipelines(dict(os.environ))
    node = loaded.plan[Key("raw", "bench", name)]
    assert isinstance(node, RawNode)
    workbench, outside = loaded.workbench(), outside_of(loaded)
    keys = node.partitions.timed.between(first, end) if node.partitions else [WHOLE]
    with moving() as facts:
        if mode == "copy":
            with workbench.open([folder]) as (session, scratch):
                question = Question(node, keys, session, scratch, outside)
                with arriving(question) as arrival:
                    rows = f"SELECT * EXCLUDE ({PARTITION}) FROM ({arrival.query})"
                    session.run(
                        f"COPY ({rows}) TO '{folder}/data.parquet' "
                        "(FORMAT parquet, COMPRESSION zstd, RETURN_STATS true)"
                    )
        else:
            passage = extract(node, keys, workbench, outside, METADATA)
            facts["failed"] = len(passage.failed)


if __name__ == "__main__":
    main()
