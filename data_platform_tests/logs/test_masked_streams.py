"""What a step prints is masked on its way to the log, whoever prints it."""

import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from data_platform.logs import streams
from data_platform.logs.streams import masked_streams
from data_platform.secrets import masker

SECRET = "s3cr3t-of-streams"


@pytest.fixture(autouse=True)
def _known_secret() -> None:
    masker.know(SECRET)


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[TextIO]:
    """A stream, whose file is what a terminal would show."""
    with (tmp_path / "shown").open("w+", buffering=1) as opened:
        yield opened


def test_what_is_printed_is_masked_in_the_log_and_where_it_is_shown(
    stream: TextIO, tmp_path: Path
) -> None:
    log = tmp_path / "logs" / "step.out"

    with masked_streams([(stream, log)]):
        print(f"url=postgresql://u:{SECRET}@h/d ünïcödé", file=stream)
        os.write(stream.fileno(), f"written past Python {SECRET}\n".encode())
        subprocess.run(["/bin/echo", f"a process says {SECRET}"], stdout=stream, check=True)
    print("after", file=stream)

    text = "url=postgresql://u:***@h/d ünïcödé\nwritten past Python ***\na process says ***\n"
    assert log.read_text() == text
    assert (tmp_path / "shown").read_text() == f"{text}after\n"


def test_a_secret_is_masked_that_becomes_known_while_it_runs(
    stream: TextIO, tmp_path: Path
) -> None:
    with masked_streams([(stream, tmp_path / "log")]):
        masker.know("new-secret-value")
        print("new-secret-value", file=stream)

    assert (tmp_path / "log").read_text() == "***\n"


def test_lines_come_while_it_runs_and_one_without_an_end_comes_at_last(
    stream: TextIO, tmp_path: Path
) -> None:
    log = tmp_path / "log"

    with masked_streams([(stream, log)]):
        stream.write(f"first\n{SECRET[:8]}")
        stream.flush()
        until = time.monotonic() + 20
        while not log.read_text() and time.monotonic() < until:
            time.sleep(0.02)
        assert log.read_text() == "first\n"
        stream.write(SECRET[8:])

    assert log.read_text() == "first\n***"


def test_bytes_that_are_no_text_stay_as_they_are(stream: TextIO, tmp_path: Path) -> None:
    with masked_streams([(stream, tmp_path / "log")]):
        os.write(stream.fileno(), b"\xff\xfe" + SECRET.encode() + b"\x00\n")

    assert (tmp_path / "log").read_bytes() == b"\xff\xfe***\x00\n"


def test_much_is_masked_too(stream: TextIO, tmp_path: Path) -> None:
    with masked_streams([(stream, tmp_path / "log")]):
        stream.write(f"{'x' * 90} {SECRET}\n" * 40_000)
        os.write(stream.fileno(), b"y" * (3 << 20))

    log = (tmp_path / "log").read_text()
    assert log.count("***\n") == 40_000
    assert SECRET not in log
    assert log.endswith("y" * (3 << 20))


def test_the_stream_is_back_after_an_error(stream: TextIO, tmp_path: Path) -> None:
    def fail() -> None:
        with masked_streams([(stream, tmp_path / "log")]):
            print("before", file=stream)
            int("boom")

    with pytest.raises(ValueError, match="boom"):
        fail()
    print("after", file=stream)

    assert (tmp_path / "log").read_text() == "before\n"
    assert (tmp_path / "shown").read_text() == "before\nafter\n"


def test_a_stream_that_is_no_file_stays(tmp_path: Path) -> None:
    stream = io.StringIO()

    with masked_streams([(stream, tmp_path / "log")]):
        print("text", file=stream)

    assert stream.getvalue() == "text\n"
    assert not (tmp_path / "log").exists()


def test_a_log_on_a_full_disk_ends_nothing(stream: TextIO, tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to("/dev/full")

    with masked_streams([(stream, tmp_path / "log")]):
        print("shown", file=stream)

    assert (tmp_path / "shown").read_text() == "shown\n"


def test_it_works_on_a_disk_without_nameless_files(
    stream: TextIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams.os, "O_TMPFILE", os.O_DIRECTORY | os.O_CREAT, raising=False)

    with masked_streams([(stream, tmp_path / "log")]):
        print("one", file=stream)
        print(SECRET, file=stream)

    assert (tmp_path / "log").read_text() == "one\n***\n"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["log", "shown"]


def test_nothing_unmasked_is_found_on_the_disk_meanwhile(stream: TextIO, tmp_path: Path) -> None:
    with masked_streams([(stream, tmp_path / "log")]):
        print(SECRET, file=stream)
        sys.stdout.flush()
        found = [file for file in tmp_path.iterdir() if SECRET in file.read_text()]

    assert found == []
