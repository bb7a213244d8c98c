"""What `run --set` says, over the assets that a run is of."""

import datetime as dt

import pytest
from factories import Project

from data_platform.errors import PermanentError
from data_platform.plan.keys import Key
from data_platform.plan.run_settings import run_values

A, B = Key("analytics", "shop", "a"), Key("analytics", "shop", "b")
BODY = """
analytics:
  a:
    parameters: {least: {type: int, default: 1}, word: {type: str, default: x}}
    query: select id, :word as word from raw.orders where id > :least
  b:
    parameters: {least: {type: float, default: 1}, since: {type: date, default: 2024-01-01}}
    query: select id, :since as since from raw.orders where id > :least
  c:
    query: select id from raw.orders
"""


def values(project: Project, *settings: str) -> object:
    project.know(orders={"id": "BIGINT"})
    project.declare(BODY)
    return run_values(settings, project.build().plan.nodes)


def test_a_name_alone_is_for_all_assets_that_have_it_each_by_its_own_type(project: Project) -> None:
    assert values(project, "least=2") == {A: {"least": 2}, B: {"least": 2.0}}


def test_one_assets_setting_goes_before_the_others_whatever_the_order(project: Project) -> None:
    expected = {A: {"least": 5}, B: {"least": 2.0}}
    assert values(project, "analytics/a.least=5", "least=2") == expected
    assert values(project, "least=2", "analytics/shop/a.least=5") == expected
    assert values(project, "least=1", "least=2", "analytics/a.least=5") == expected


def test_a_text_may_hold_anything_after_the_first_equals_sign(project: Project) -> None:
    assert values(project, "word=") == {A: {"word": ""}}
    assert values(project, "word=a=b/c.d ü") == {A: {"word": "a=b/c.d ü"}}


def test_a_day_is_a_day(project: Project) -> None:
    assert values(project, "since=2024-02-29") == {B: {"since": dt.date(2024, 2, 29)}}


def test_nothing_set_is_nothing_given(project: Project) -> None:
    assert values(project) == {}


def test_a_value_must_fit_every_asset_that_has_the_name(project: Project) -> None:
    with pytest.raises(PermanentError, match=r"--set least: analytics/shop/a: .* found '2\.5'"):
        values(project, "least=2.5")
