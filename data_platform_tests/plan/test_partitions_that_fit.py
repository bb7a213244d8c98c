"""What of partitions must agree where one asset reads another, and how it is told."""

import pytest
from factories import Project

from data_platform.plan.describing import describe_asset

FEED = "type: python, function: feeds:fetch, columns: {id: {type: bigint}, region: {}}"


def declare(project: Project, upstream: str, reader: str, more: str = "") -> None:
    project.declare(
        f"sources:\n  fed: {{{FEED}, partitions: {{{upstream}}}}}\n"
        f"analytics:\n  made:\n    partitions: {{{reader}}}\n{more}"
        "    query: SELECT id FROM raw.fed\n"
    )
    (project.pipelines / "shop" / "feeds.py").write_text("def fetch(partition): ...\n")


START = "start: 2024-01-01"
REGION = "by: {region: {values: [eu, us]}}"
WINDOW = "    inputs: {raw.fed: {last: 7}}\n"

_OTHER_REGIONS = (
    "9:31: raw/shop/fed can't be read by partition: its region is one of eu, us, that of this "
    "asset one of eu, asia: one dimension has the same values in the same order everywhere; give "
    "it another name where it means something else; or read all of it, by "
    "`inputs: {<asset>: {all: true}}`"
)


@pytest.mark.parametrize(
    ("upstream", "reader", "more", "message"),
    [
        (
            REGION,
            "by: {region: {values: [eu, asia]}}",
            "",
            _OTHER_REGIONS,
        ),
        (
            "dynamic: customers",
            "dynamic: shops",
            "",
            "its partitions are registered as customers, those of this asset as shops",
        ),
        (
            f"every: day, {START}",
            f"every: day, {START}, timezone: Europe/Berlin",
            "",
            "its partitions are of UTC, those of this asset of Europe/Berlin: a day isn't the same",
        ),
        (
            f"every: month, {START}",
            f"every: week, {START}",
            "",
            "its partitions are months: weeks and months don't end together",
        ),
        (
            f"every: week, {START}",
            f"every: month, {START}",
            "",
            "its partitions are weeks: weeks and months don't end together",
        ),
        (
            f"every: week, {START}",
            "every: week, start: 2024-01-07",
            "",
            "its weeks begin on Mondays, those of this asset on Sundays",
        ),
        (REGION, f"every: day, {START}", WINDOW, "it has no partitions of time that `last` could"),
        (f"every: day, {START}", REGION, WINDOW, "this asset has no partitions of time, with whi"),
        (f"every: day, {START}", "dynamic: a", WINDOW, "this asset has no partitions of time"),
        (f"every: week, {START}", f"every: month, {START}", WINDOW, "`last` of raw/shop/fed: its"),
    ],
)
def test_what_cannot_agree_is_refused(
    project: Project, upstream: str, reader: str, more: str, message: str
) -> None:
    declare(project, upstream, reader, more)
    [problem] = project.problems()
    assert message in problem
    assert problem.startswith("shop/pipeline.yaml:")
    if not more:
        declare(project, upstream, reader, "    inputs: {raw.fed: {all: true}}\n")
        assert project.problems() == []


@pytest.mark.parametrize(
    ("parameter", "partitions", "message"),
    [
        ("region", f"every: day, {START}", "unknown parameter :region"),
        (
            "partition_start",
            REGION,
            ":partition_start has no value: the asset has no partitions of t",
        ),
        (
            "partition_end",
            "dynamic: a",
            ":partition_end has no value: the asset has no partitions of",
        ),
        ("regin", REGION, "unknown parameter :regin; did you mean :region?"),
    ],
)
def test_a_partition_has_only_values_of_its_own(
    project: Project, parameter: str, partitions: str, message: str
) -> None:
    project.declare(
        f"sources: {{}}\nanalytics:\n  made:\n    partitions: {{{partitions}}}\n"
        f"    query: SELECT :{parameter} AS a\n"
    )
    [problem] = project.problems()
    assert message in problem
    assert ":8:19: " in problem


def test_a_parameter_of_the_run_has_another_name_than_a_dimension(project: Project) -> None:
    project.declare(
        f"sources: {{}}\nanalytics:\n  made:\n    partitions: {{{REGION}}}\n"
        "    parameters: {region: {type: str, default: x}}\n    query: SELECT 1 AS a\n"
    )
    assert any(":region is the value of a partition" in problem for problem in project.problems())


@pytest.mark.parametrize(
    ("partitions", "words"),
    [
        (
            f"every: hour, {START}, end: 2024-02-01",
            "hourly from 2024-01-01 to 2024-02-01 (exclusive), UTC",
        ),
        (f"every: week, {START}", "weekly from 2024-01-01, without end, UTC"),
        (REGION, "by region of eu, us"),
        (
            f"every: day, {START}, {REGION}",
            "daily from 2024-01-01, without end, UTC; by region of eu, us",
        ),
        ("by: {b: {values: [x]}, a: {values: [y]}}", "by b of x, and by a of y"),
        ("dynamic: customers", "as they are registered, by the name customers"),
    ],
)
def test_partitions_in_words(project: Project, partitions: str, words: str) -> None:
    declare(project, partitions, partitions)
    told = describe_asset(project.node("analytics/made"))
    assert told["partitions"]["words"] == words
    assert told["inputs"][0]["words"] == "the same partition"


def test_what_belongs_to_a_partition_is_told(project: Project) -> None:
    declare(project, f"every: day, {START}", f"every: month, {START}")
    [given] = describe_asset(project.node("analytics/made"))["inputs"]
    assert given["reads"] == "matching"
    assert given["words"] == (
        "the partitions that belong to its own (daily from 2024-01-01, without end, UTC)"
    )
