"""Runs from the command line: `Request` says what, `run_pipeline` does it and its follow-ups."""

from data_platform.running.pipelines import run_pipeline
from data_platform.running.requests import Request

__all__ = ["Request", "run_pipeline"]
