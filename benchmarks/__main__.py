"""`make bench`: measures the main paths on real servers on this machine and compares them with their goals.

    python -m benchmarks              everything
    python -m benchmarks evaluation   one of them

Load generator, server and database share the machine; everything stays on loopback.
"""

from __future__ import annotations

import sys

from benchmarks.alone import measure_all
from benchmarks.figures import table

BENCHMARKS = (
    "ingestion", "protocols", "storage", "evaluation", "detection", "clients", "anomaly", "probes", "scale",
)  # fmt: skip


def main(names: list[str]) -> int:
    """Run the named benchmarks; 1 where a goal was missed."""
    if unknown := set(names) - set(BENCHMARKS):
        sys.stderr.write(f"not known: {', '.join(sorted(unknown))}; choose from {', '.join(BENCHMARKS)}\n")
        return 2
    chosen = [name for name in BENCHMARKS if name in (names or BENCHMARKS)]
    figures = measure_all(chosen)
    sys.stdout.write(table(figures))
    return 0 if all(figure.reached() for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
