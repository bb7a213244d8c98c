"""A lake in a bucket under a server that breaks off, refuses and dawdles.

Whatever goes wrong, readers see a version as a whole or none of it; what passes is tried again;
what stays is told in a line; and the same again afterwards gives what an undisturbed run gives.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import DAY, DAYS, Project, arrow, key_of
from faulty_storage import (
    BUSY,
    DENIED,
    NO_BUCKET,
    Asked,
    Cut,
    Fault,
    FaultyStorage,
    Lost,
    Slow,
    Torn,
    faulty_storage,
)
from object_storage import SECRET_KEY, Bucket

from data_platform.engine import object_store
from data_platform.errors import PlatformError, StorageError, StorageUnavailable, TransientError
from data_platform.storage.batches import Batches
from data_platform.storage.lake import Lake
from data_platform.storage.places import bucket as places
from data_platform.storage.places.bucket import Bucket as Place
from data_platform.storage.versions import DataFile, PartitionVersion
from data_platform.storage.workbench import Workbench

ORDERS = "raw/orders"
CUTS, OF_A_CAMPAIGN = 6, 100
SMALL = "SELECT i AS a, 'after' AS t, 2 AS new FROM RANGE(4) AS r (i)"
LARGE = "SELECT i AS a, MD5(i::VARCHAR) AS t, 2 AS new FROM RANGE(12000) AS r (i)"
BEFORE = "SELECT i AS a, 'before' AS t FROM RANGE(3) AS r (i)"

Rows = list[dict[str, object]]


class Disturbed:
    """A lake that is written through the server, and read past it."""

    def __init__(self, folder: Path, storage: FaultyStorage) -> None:
        self.storage = storage
        self.bucket = Bucket()
        url, scratch = f"{self.bucket.url}/lake", folder / "_scratch"
        for name in ("through", "past"):
            (folder / name).mkdir()
        self.project = Project(folder / "through")
        through = Place(url, storage.connection(self.bucket))
        self.project.workbench = Workbench(Lake(through, scratch), threads=1)
        self.reader = Project(folder / "past")
        past = Place(url, self.bucket.connection())
        self.reader.workbench = Workbench(Lake(past, scratch), threads=1)

    def seen(self) -> tuple[int, Rows]:
        """The version and the rows that a reader sees whom nothing disturbs."""
        snapshot = self.reader.table(ORDERS).snapshot()
        return (snapshot.version if snapshot else -1), self.reader.rows(ORDERS)


def rows_of(steps: Mapping[str, str]) -> Rows:
    """What a lake holds that nothing disturbed."""
    found = [row for sql in steps.values() for row in arrow(sql).to_pylist()]
    return sorted(found, key=str)


@pytest.fixture
def disturbed(tmp_path: Path) -> Iterator[Disturbed]:
    with faulty_storage() as storage:
        yield Disturbed(tmp_path, storage)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files above some KB are sent in parts."""
    monkeypatch.setattr(places, "PART", 100 * 1024)
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 256)


def cut_of(chance: random.Random, asked: Asked) -> Fault:
    """What is sent, cut at any byte, an answer at any byte, or no answer at all."""
    if asked.kind in {"GetObject", "ListObjects"}:
        return chance.choice([Torn(chance.randrange(200)), Lost()])
    return chance.choice([Cut(chance.randrange(asked.length + 1)), Lost()])


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    "seed",
    [
        *range(CUTS),
        *(pytest.param(n, marks=pytest.mark.campaign) for n in range(CUTS, OF_A_CAMPAIGN)),
    ],
)
def test_nothing_half_is_seen_wherever_a_publication_breaks_off(
    disturbed: Disturbed, seed: int
) -> None:
    chance = random.Random(seed)
    in_parts, for_good = bool(seed % 2), chance.random() < 0.7
    days = [DAY] if in_parts else DAYS[:3]
    before = dict.fromkeys(days, BEFORE)
    after = dict.fromkeys(days, LARGE if in_parts else SMALL)
    disturbed.project.land_all(ORDERS, before)
    version, rows = disturbed.seen()
    wanted = rows_of(after)
    disturbed.storage.forget()
    first = chance.randrange(20)

    def rule(asked: Asked) -> Fault | None:
        due = asked.number >= first if for_good else asked.number == first
        return cut_of(chance, asked) if due else None

    disturbed.storage.rule = rule
    try:
        disturbed.project.land_all(ORDERS, after)
        assert disturbed.seen()[1] == wanted
    except TransientError as error:
        assert "\n" not in f"{error}"  # noqa: PT017 -- it may as well go through
        # A commit whose answer got lost counts.
        now, found = disturbed.seen()
        assert found == (rows if now == version else wanted)
    disturbed.storage.rule = lambda _: None
    disturbed.project.land_all(ORDERS, after)
    found = disturbed.seen()
    assert found[1] == wanted
    disturbed.project.land_all(ORDERS, after)
    assert disturbed.seen() == found


def is_commit(asked: Asked) -> bool:
    return asked.kind == "PutObject" and "_delta_log" in asked.key


OF_A_PUBLICATION: dict[str, Callable[[Asked], bool]] = {
    "a small file": lambda asked: asked.kind == "PutObject" and asked.key.endswith(".parquet"),
    "the beginning of parts": lambda asked: asked.kind == "CreateMultipartUpload",
    "a part": lambda asked: asked.kind == "UploadPart",
    "the end of parts": lambda asked: asked.kind == "CompleteMultipartUpload",
    "the commit": is_commit,
}


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    ("part", "fault"),
    [
        pytest.param(part, fault, id=f"{part}, {type(fault).__name__}", marks=marks)
        for part in OF_A_PUBLICATION
        for fault, marks in [
            (Cut(100), ()),
            (Lost(), () if "commit" in part else pytest.mark.campaign),
            (BUSY, pytest.mark.campaign),
        ]
    ],
)
def test_what_breaks_off_once_is_sent_again(disturbed: Disturbed, part: str, fault: Fault) -> None:
    before, after = {DAY: BEFORE}, {DAY: SMALL if part in {"a small file", "the commit"} else LARGE}
    disturbed.project.land_all(ORDERS, before)
    failed: list[Asked] = []

    def once(asked: Asked) -> Fault | None:
        if failed or not OF_A_PUBLICATION[part](asked):
            return None
        failed.append(asked)
        return fault

    disturbed.storage.rule = once
    try:
        disturbed.project.land_all(ORDERS, after)
    finally:
        disturbed.storage.rule = lambda _: None
    assert failed
    version, rows = disturbed.seen()
    assert (version, rows) == (1, rows_of(after))
    # Of an upload whose beginning got no answer nobody knows the name.
    nameless = part == "the beginning of parts" and isinstance(fault, Lost)
    assert disturbed.bucket.unfinished() == int(nameless)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("part", OF_A_PUBLICATION)
def test_what_stays_broken_leaves_the_former_version(disturbed: Disturbed, part: str) -> None:
    before, after = {DAY: BEFORE}, {DAY: SMALL if part in {"a small file", "the commit"} else LARGE}
    disturbed.project.land_all(ORDERS, before)
    former = disturbed.seen()
    disturbed.storage.rule = lambda asked: Cut(10) if OF_A_PUBLICATION[part](asked) else None
    with pytest.raises(StorageUnavailable, match=r"^the lake: s3://\S+: the server can't be reach"):
        disturbed.project.land_all(ORDERS, after)
    assert disturbed.seen() == former
    # What was sent of a file in parts was taken back, and costs nothing.
    assert disturbed.bucket.unfinished() == 0
    disturbed.storage.rule = lambda _: None
    disturbed.project.land_all(ORDERS, after)
    assert disturbed.seen()[1] == rows_of(after)


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (BUSY, StorageUnavailable, r"the server answers 503 SlowDown"),
        (DENIED, StorageError, r"access denied \(InvalidAccessKeyId\)"),
        (NO_BUCKET, StorageError, r"there is no such bucket"),
        (Cut(0), StorageUnavailable, r"the server can't be reached, or is too slow"),
    ],
    ids=["busy", "denied", "no bucket", "no answer"],
)
def test_what_stays_is_said_in_a_line(
    disturbed: Disturbed, fault: Fault, kind: type[PlatformError], message: str
) -> None:
    disturbed.project.land(ORDERS, BEFORE, DAY)
    former = disturbed.seen()
    table = disturbed.project.table(ORDERS)
    for harmed in (
        lambda asked: asked.kind == "PutObject" and asked.key.endswith(".parquet"),
        is_commit,
        lambda asked: True,
    ):
        disturbed.storage.rule = lambda asked, harmed=harmed: fault if harmed(asked) else None
        with pytest.raises(kind, match=message) as caught:
            disturbed.project.land(ORDERS, SMALL, DAY)
        text = str(caught.value)
        assert not [hidden for hidden in ("\n", SECRET_KEY, "<?xml") if hidden in text], text
        assert f"s3://{disturbed.bucket.name}" in text
        assert disturbed.seen() == former
    with pytest.raises(kind, match=message):
        table.snapshot()


def test_a_bucket_that_is_not_there_is_told(tmp_path: Path) -> None:
    place = Place("s3://nowhere-at-all/lake", Bucket().connection())
    lake = Lake(place, tmp_path)
    with pytest.raises(StorageError, match=r"s3://nowhere-at-all\S*: there is no such bucket"):
        lake.table(key_of(ORDERS)).snapshot()


def test_a_server_that_never_answers_is_given_up(
    disturbed: Disturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    disturbed.project.land(ORDERS, BEFORE, DAY)
    former = disturbed.seen()
    for module in (object_store, places):
        monkeypatch.setattr(module, "REQUEST_SECONDS", 1)
        monkeypatch.setattr(module, "RETRIES", 1)
    place = Place(
        disturbed.project.workbench.lake.root, disturbed.storage.connection(disturbed.bucket)
    )
    disturbed.project.workbench = Workbench(Lake(place, disturbed.project.folder / "s"), threads=1)
    disturbed.storage.rule = lambda asked: Slow(60) if asked.method == "PUT" else None
    with pytest.raises(StorageUnavailable, match="the server can't be reached, or is too slow"):
        disturbed.project.land(ORDERS, SMALL, DAY)
    assert disturbed.seen() == former


def test_a_slow_server_is_only_slow(disturbed: Disturbed) -> None:
    disturbed.storage.rule = lambda _: Slow(0.02)
    disturbed.project.land(ORDERS, SMALL, DAY)
    assert disturbed.seen()[1] == rows_of({DAY: SMALL})


@pytest.mark.parametrize("fault", [Cut(50), Lost(), BUSY], ids=lambda fault: type(fault).__name__)
def test_a_batch_whose_commit_breaks_off_is_there_once(
    disturbed: Disturbed, tmp_path: Path, fault: Fault
) -> None:
    table = disturbed.project.table(ORDERS)
    schema = pa.schema([("a", pa.int64())])

    def append(number: int) -> None:
        path = tmp_path / f"{number}.parquet"
        pq.write_table(pa.table({"a": [number]}, schema), path)
        file = DataFile(str(path), 1, path.stat().st_size)
        batches = Batches(number, number, (), None, "history", {"read": number})
        table.append(PartitionVersion(f"{number:020}", (file,)), schema, batches, {})

    append(1)
    failed: list[Asked] = []

    def once(asked: Asked) -> Fault | None:
        if failed or not is_commit(asked):
            return None
        failed.append(asked)
        return fault

    disturbed.storage.rule = once
    append(2)
    snapshot = disturbed.reader.table(ORDERS).snapshot()
    assert snapshot is not None
    assert snapshot.batches is not None
    assert snapshot.batches.number == 2
    assert snapshot.batches.position == {"read": 2}
    assert disturbed.reader.column(ORDERS, "a") == [1, 2]
    append(3)
    assert disturbed.reader.column(ORDERS, "a") == [1, 2, 3]
