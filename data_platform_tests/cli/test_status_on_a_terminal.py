"""`data-platform status --watch` on a terminal: what a person sees, types, and has afterwards."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import dagster as dg
import pytest
from factories import Project
from terminal_screen import Terminal

BODY = "staging:\n  orders: {from: raw.orders, quality: [row_count: {min_rows: 1}]}\n"
KEY = dg.AssetKey(["staging", "shop", "orders"])
WATCH = ["data-platform", "status", "--watch", "600"]
Opened = Callable[..., Terminal]


@pytest.fixture
def opened(project: Project, dagster_url: str, instance: dg.DagsterInstance) -> Opened:
    """Opens terminals in a shop of which nothing is built and a check fails."""
    project.declare(BODY)
    judge(instance, passed=False)
    environ: Mapping[str, str] = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LAKE_ROOT") if name in os.environ},
        "DATA_PLATFORM_HOME": str(project.pipelines.parent),
        "DATA_PLATFORM_PIPELINES": str(project.pipelines),
        "DATA_PLATFORM_STORAGE_URL": dagster_url,
    }

    def made(columns: int = 100, rows: int = 30, **more: str) -> Terminal:
        return Terminal(WATCH, Path(project.pipelines.parent), {**environ, **more}, columns, rows)

    return made


def judge(instance: dg.DagsterInstance, *, passed: bool) -> None:
    found = dg.AssetCheckEvaluation(asset_key=KEY, check_name="row_count", passed=passed)
    instance.report_runless_asset_event(found)


def drawn(lines: list[str]) -> bool:
    """Whether a page is there, to its last line, and nothing of one drawn before it."""
    ends = [line.startswith("q ends it") for line in lines]
    return " of 2 assets" in lines[0] and ends.count(True) == 1


def sound(lines: list[str]) -> bool:
    """Whether a page is there that tells of nothing red, nor anything of the red one before it."""
    told = any("RED" in line or "failed" in line for line in lines)
    return drawn(lines) and lines[0].startswith("0 red") and not told


def test_a_page_is_drawn_again_as_wide_as_the_terminal_is_and_q_gives_the_terminal_back(
    opened: Opened, instance: dg.DagsterInstance
):
    with opened() as terminal:
        lines = terminal.wait_for(drawn)
        assert lines[0].startswith("1 red")
        assert "RED raw/shop/orders" in lines
        assert terminal.screen.other_screen
        assert not terminal.screen.cursor_shown
        assert not terminal.is_as_before
        assert len(terminal.screen.styled) > 2
        judge(instance, passed=True)
        terminal.type(" ")
        lines = terminal.wait_for(sound)
        terminal.become(44, 9)
        terminal.wait_for(lambda lines: lines[-1].endswith("more lines have no room"))
        terminal.become(100, 30)
        assert terminal.wait_for(drawn) == lines
        terminal.type("q")
        assert terminal.wait_for_end() == 0
        assert terminal.is_as_before


def test_ctrl_c_and_an_end_from_outside_give_the_terminal_back(opened: Opened):
    with opened() as terminal:
        terminal.wait_for(drawn)
        terminal.interrupt()
        assert terminal.wait_for_end() == 0
        assert terminal.is_as_before
    with opened() as terminal:
        terminal.wait_for(drawn)
        terminal.process.terminate()
        assert terminal.wait_for_end() != 0
        assert terminal.is_as_before


def test_without_colours_it_is_page_after_page_and_nothing_moves(opened: Opened):
    with opened(NO_COLOR="1") as terminal:
        terminal.wait_for(lambda lines: any(line.startswith("RED raw/") for line in lines))
        terminal.interrupt()
        assert terminal.wait_for_end() == 0
        assert set(terminal.screen.styled) == {""}
        assert terminal.is_as_before
