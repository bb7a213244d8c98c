"""Tests run in the project's folder, wherever pytest is called."""

import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    os.chdir(config.rootpath)
