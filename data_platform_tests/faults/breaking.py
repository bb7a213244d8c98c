"""Loads that are broken off one after the other, and what must be there after each.

Whatever broke, a target holds what it held before or all of the load, its ledger says which, and
the same load once more leaves what a load that nobody disturbed would have, and nothing else.
"""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from delivering import Nodes, Sending
from held_tables import Tables
from reliability_report import Figures, record
from versions_of_rows import PARTITIONED, Held, Numbers, after, day, keys_of, torn

from data_platform.spec.destinations import WriteMode

LOADS_A_TABLE = 4
"""The first of them makes it."""

Fault = Callable[[Sending], str | None]
"""Delivers, and breaks it off; gives how, or None where it was through before."""


@dataclass
class Story:
    """One load after the other in a mode, into a new table now and then.

    Args:
        mode: of all of them.
        seed: decides which partitions have a new version.
    """

    mode: WriteMode
    seed: random.Random
    step: int = 0
    table: str = ""
    numbers: dict[str, int] = field(default_factory=dict[str, int])

    def next(self) -> tuple[str, Numbers]:
        """A table, and the versions that it is to have."""
        if self.step % LOADS_A_TABLE == 0 or self.mode == "create":
            self.table, self.numbers = f"orders_{self.step}", {}
        self.step += 1
        if self.mode == "append":
            return self.table, {day(2 * self.step + n): self.step for n in range(2)}
        keys = keys_of(self.mode, day(0), day(1), day(2))
        changed = (
            keys if not self.numbers else self.seed.sample(keys, self.seed.randint(1, len(keys)))
        )
        self.numbers = {**self.numbers, **dict.fromkeys(changed, self.step)}
        return self.table, self.numbers


@dataclass
class Campaign:
    """What was done.

    Attributes:
        how: loads were broken off, and how often.
        done: of them those that were committed all the same.
        through: loads that were through before.
    """

    how: Counter[str] = field(default_factory=Counter[str])
    done: int = 0
    through: int = 0


def disturb(
    tables: Tables, nodes: Nodes, story: Story, fault: Fault, times: int, folder: Path
) -> Campaign:
    """Break loads off, and compare with the oracle before and after the next try."""
    campaign = Campaign()
    while campaign.how.total() < times:
        table, numbers = story.next()
        before = tables.held(table)
        wanted = after(before, story.mode, numbers)
        node = nodes.node(tables.target(story.mode, table), partitioned=PARTITIONED[story.mode])
        sending = Sending(node, numbers, tables.url, folder)
        how = fault(sending)
        broken_off = tables.held(table)
        assert (
            _may_be(broken_off, before, wanted, whole=tables.whole)
            if how
            else (broken_off == wanted)
        )
        sending.deliver()
        assert tables.held(table) == wanted
        assert tables.leftovers() == []
        if how is None:
            campaign.through += 1
            assert campaign.through < 10 + 2 * times, "nothing breaks"
        else:
            campaign.how[how] += 1
            campaign.done += broken_off == wanted
    return campaign


def _may_be(held: Held, before: Held, wanted: Held, *, whole: bool) -> bool:
    """Whether a load that broke off may have left this; where partitions stand alone, a mixture."""
    if whole:
        return held in (before, wanted)
    known = [*before.ledger.items(), *wanted.ledger.items()]
    return torn(held, "replace_partition") is None and all(
        entry in known for entry in held.ledger.items()
    )


def campaign(
    what: str,
    tables: Tables,
    nodes: Nodes,
    story: Story,
    fault: Fault,
    times: int,
    folder: Path,
) -> None:
    """The same with figures for the report."""
    began = time.monotonic()
    found = disturb(tables, nodes, story, fault, times, folder)
    told = ", ".join(f"{count} {how}" for how, count in sorted(found.how.items()))
    left = "the rows and the ledger from before, or of the whole load"
    if not tables.whole:
        left = "whole files, each from before or of the load"
    outcome = (
        f"each left {left} ({found.done} of them all of it); the next try left what an undisturbed "
        f"load leaves, nothing twice and nothing else; {told}"
    )
    seconds = time.monotonic() - began
    record(Figures(f"{what}, `write: {story.mode}`", found.how.total(), outcome, seconds))
