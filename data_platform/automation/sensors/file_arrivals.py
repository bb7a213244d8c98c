"""What new files of a source come to: runs to ask for, keys to register, and what to remember.

Called by `file_sensor` at each tick. Nothing waits in a run: what is too young, or whose partition
isn't over, is looked at again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import dagster as dg

from data_platform.automation.sensors.file_keys import FileKeys, file_keys
from data_platform.automation.sensors.file_looks import Looked, look, words_of_cause
from data_platform.automation.sensors.file_memory import Memory, digest_of, fingerprint
from data_platform.automation.sensors.file_states import Memories, State
from data_platform.automation.sensors.reached import Pipelines
from data_platform.automation.sensors.run_requests import Wanted, ranges_of
from data_platform.errors import PlatformError
from data_platform.plan.nodes import RawNode
from data_platform.plan.sources.deadlines import late_partitions, late_since
from data_platform.plan.sources.kinds import Files
from data_platform.raw.landings import known_landings
from data_platform.sources.files.arriving import LISTING, listing_mark
from data_platform.sources.files.finding import listed, store_of
from data_platform.sources.files.found import Found

MOST_RUNS = 100
"""That one look at a source asks for; the rest comes with the next look."""
NAMED = 3
LATE = "; late: "

ByKey = Mapping[str, Sequence[Found]]


@dataclass(frozen=True)
class Arrivals:
    """What one look at a source comes to.

    Attributes:
        state: to be known by the next one.
        wanted: runs.
        registered: keys that runs are of and that dynamic partitions may not have yet.
    """

    state: State
    wanted: Sequence[Wanted] = ()
    registered: Sequence[str] = ()


class Doorkeeper:
    """Looks at the files of sources, at one moment.

    Args:
        loaded: the pipelines.
        instance: Dagster's.
        now: aware.
    """

    def __init__(self, loaded: Pipelines, instance: dg.DagsterInstance, now: datetime) -> None:
        self._loaded = loaded
        self._memories = Memories(instance)
        self._now = now

    def look(self, node: RawNode, source: Files, known: State | None) -> Arrivals:
        """Look at the files of a source.

        Args:
            node: the source.
            source: its files.
            known: what the look before knew; None means that there was none.
        """
        of = digest_of((), source.path, node.partitions)
        state = known if known is not None and known.of == of else State(of)
        state = replace(state, at=self._now)
        try:
            store = store_of(source, self._loaded.outside())
            keys = file_keys(source.path, node.partitions, self._now)
            files = listed(keys.glob, store)
        except PlatformError as error:
            return Arrivals(replace(state, seen=None, words=f"no listing: {error}"))
        late = self._late(node, source, files, keys)
        listing = digest_of(map(fingerprint, files), keys.newest)
        if state.seen == listing:
            return Arrivals(replace(state, words=state.words.partition(LATE)[0] + late))
        memory = self._memories.of(str(node.key), state.memory) or Memory()
        settle = source.settle if store is None else 0.0
        looked = look(files, keys, memory, settle=settle, waiting=state.waiting, now=self._now)
        arrivals = self._arrivals(node, looked, memory, state, registers=keys.registers)
        left = looked.waiting or arrivals.state.seen is None
        words = replace(looked, new={}).in_words() + late
        state = replace(
            arrivals.state,
            seen=None if left else listing,
            waiting=looked.waiting,
            words=words,
        )
        return replace(arrivals, state=state)

    def _arrivals(
        self, node: RawNode, looked: Looked, memory: Memory, state: State, *, registers: bool
    ) -> Arrivals:
        """The runs of what is new; `seen` of the state is None where some are left."""
        landed = self._landed(node, looked.listings)
        ranges = ranges_of(node, [key for key in looked.new if key not in landed])
        if not looked.new.keys() - landed:
            ranges = []
        taken = ranges[:MOST_RUNS]
        keys = [key for part in taken for key in part]
        handed = [file for key in (*keys, *landed) for file in looked.new[key]]
        after = memory.after(looked.files, handed)
        kept = self._memories.keep(str(node.key), state, after)
        wanted = [_wanted(node, part, {key: looked.new[key] for key in part}) for part in taken]
        complete = "" if len(taken) == len(ranges) else None
        return Arrivals(replace(kept, seen=complete), wanted, keys if registers else ())

    def _landed(self, node: RawNode, listings: ByKey) -> set[str]:
        """Partitions that somebody has landed with exactly these files: they need no run."""
        if not listings:
            return set()
        try:
            table = self._loaded.lake().table(node.key)
            defaults = {name: one.default for name, one in node.run_parameters.items()}
            known = known_landings(node, table, table.snapshot(), listings, defaults)
        except PlatformError:
            return set()  # a lake that can't be reached is the run's to tell
        return {
            key
            for key, landing in known.items()
            if landing.marks.get(LISTING) == listing_mark(listings[key])
        }

    def _late(self, node: RawNode, source: Files, files: Sequence[Found], keys: FileKeys) -> str:
        """Which files should be there and aren't, in words; empty where none."""
        if source.deadline is None:
            return ""
        if node.partitions is not None:
            there = {key for file in files for key in keys.of(file.name)}
            late = late_partitions(node.partitions, source.deadline, there, self._now)
            more = f" and {len(late) - NAMED} more" if len(late) > NAMED else ""
            return f"{LATE}{', '.join(late[-NAMED:])}{more}" if late else ""
        pipeline = self._loaded.plan.pipeline(node.key.pipeline)
        schedule = pipeline.schedule if pipeline else None
        newest = max((file.modified for file in files), default=None)
        cron, timezone = (schedule.cron, schedule.timezone) if schedule else (None, "UTC")
        since = late_since(cron, timezone, source.deadline, newest, self._now)
        return f"{LATE}a file, since {since:%Y-%m-%d %H:%M %Z}" if since else ""


def _wanted(node: RawNode, keys: Sequence[str], new: ByKey) -> Wanted:
    version = digest_of(fingerprint(file) for files in new.values() for file in files)
    return Wanted(node, keys, words_of_cause(new), version)
