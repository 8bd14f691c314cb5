"""Runs each benchmark in a process of its own: Django is set up for one database."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context

from benchmarks.figures import Figure


def measured(name: str) -> list[Figure]:
    """The figures of the benchmark `benchmarks.<name>`."""
    return list(import_module(f"benchmarks.{name}").measure())


def measure_all(names: Sequence[str]) -> list[Figure]:
    """One after the other, in the order of `names`."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as alone:
        return [figure for found in alone.map(measured, names) for figure in found]
