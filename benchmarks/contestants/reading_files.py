"""Count and sum the rows of a folder's Parquet files.

    reading_files.py folder|bucket|fetch FOLDER [URL]

`folder` reads them with the platform's DuckDB session from the disk, `bucket` with the same session
from a server of objects at URL, as a lake in a bucket is read. `fetch` only fetches their bytes
from there, as many requests at a time, and throws them away: what the server needs by itself.
"""

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import obstore
import pyarrow.parquet as pq
from contestants.moving import moving

from data_platform.engine.lake_files import LakeFiles
from data_platform.engine.object_files import AT_ONCE
from data_platform.engine.object_store import ObjectStore
from data_platform.engine.session import open_session
from data_platform.spec.platform import S3Connection

BUCKET = "lake"
PIECE = 2 * 1024 * 1024


def fetched(store: ObjectStore, sizes: dict[str, int]) -> int:
    """The bytes of all objects, by pieces."""
    pieces = [
        (key, start, min(start + PIECE, size))
        for key, size in sizes.items()
        for start in range(0, size, PIECE)
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        done = pool.map(
            lambda p: obstore.get_range(store.store, p[0], start=p[1], end=p[2]), pieces
        )
        return sum(map(len, done))


def main() -> None:
    how, folder, url = sys.argv[1], Path(sys.argv[2]), (*sys.argv[3:], None)[0]
    paths = sorted(folder.rglob("*.parquet"))
    keys = [path.relative_to(folder).as_posix() for path in paths]
    sizes = [path.stat().st_size for path in paths]
    schema = pq.read_schema(paths[0])
    connection = S3Connection(
        type="s3", endpoint_url=url, access_key_id="x", secret_access_key="y", region="us-east-1"
    )
    bucket = ObjectStore(connection, BUCKET) if how != "folder" else None
    names = [f"{bucket.url}/{key}" for key in keys] if bucket else [str(path) for path in paths]
    root = bucket.url if bucket else str(folder)
    with moving() as facts, tempfile.TemporaryDirectory() as scratch:
        if how == "fetch" and bucket:
            facts["bytes"] = fetched(bucket, dict(zip(keys, sizes, strict=True)))
            return
        with open_session(Path(scratch), [root], "1GB", bucket=bucket) as session:
            files = LakeFiles(names, schema, partitioned=True, uniform=True, sizes=sizes)
            session.show("x", files)
            [(rows, total, hashes)] = session.rows(
                "SELECT COUNT(*), SUM(a), SUM(HASH(t) % 1000003) FROM x"
            )
            facts |= {"rows": rows, "sum": int(total), "hashes": int(hashes)}


if __name__ == "__main__":
    main()
