"""`make bench`: measures the main paths on real servers on this machine and compares them with their goals.

    python -m benchmarks              everything
    python -m benchmarks evaluation   one of them

Load generator, server and database share the machine; everything stays on loopback.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

from benchmarks import evaluation, ingestion, protocols
from benchmarks.figures import Figure, table

BENCHMARKS: dict[str, Callable[[], Iterable[Figure]]] = {
    "ingestion": ingestion.measure,
    "protocols": protocols.measure,
    "evaluation": evaluation.measure,
}


def main(names: list[str]) -> int:
    """Run the named benchmarks; 1 where a goal was missed."""
    if unknown := set(names) - set(BENCHMARKS):
        sys.stderr.write(f"not known: {', '.join(sorted(unknown))}; choose from {', '.join(BENCHMARKS)}\n")
        return 2
    figures = [figure for name, measure in BENCHMARKS.items() if name in (names or BENCHMARKS) for figure in measure()]
    sys.stdout.write(table(figures))
    return 0 if all(figure.reached() for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
