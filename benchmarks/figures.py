"""What a benchmark found, beside its goal."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured number. `goal` is the least (or, with `at_most`, the most) that is acceptable; `spread` is the 95th
    percentile of what `value` is the median of."""

    what: str
    value: float
    unit: str
    goal: float | None = None
    at_most: bool = False
    spread: float | None = None

    def reached(self) -> bool:
        if self.goal is None:
            return True
        return self.value <= self.goal if self.at_most else self.value >= self.goal


def table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table, with the machine they were measured on."""
    lines = [
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "",
        "| what | measured | goal | |",
        "| --- | ---: | ---: | --- |",
    ]
    for figure in figures:
        bound = "" if figure.goal is None else f"{'≤' if figure.at_most else '≥'} {figure.goal:,.10g}"
        verdict = "" if figure.goal is None else ("reached" if figure.reached() else "MISSED")
        beside = "" if figure.spread is None else f" (95 %: {shown(figure.spread)})"
        lines.append(f"| {figure.what} | {shown(figure.value)} {figure.unit}{beside} | {bound} | {verdict} |")
    return "\n".join([*lines, ""])


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
