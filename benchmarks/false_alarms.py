"""How often do the checks find something wrong with a right unit?

    python benchmarks/false_alarms.py --checks 10000

Units that are known to be right, those that ship and those of tests/verify/zoo.py, are checked at
random shapes, scales and options, in float32 and float64, each time with other numbers. Whatever
fails is a false alarm, and is printed with the seed that shows it again (``--seed N --checks 1``).
The status is 1 where there was one. A check that is skipped does not count.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from pullback import registry
from pullback.verify.cases import Subject, instance
from pullback.verify.checks import report
from pullback.verify.laws import CHECKS

ZOO = Path(__file__).parents[1] / "tests" / "verify" / "zoo.py"
AT_ONCE = 20  # subjects that a process is given


def drawn(seed: int, units: Sequence[tuple[str, str]]) -> Subject:
    """A unit, with options or without, and what its inputs are like."""
    rng = np.random.default_rng([2026, seed])
    kind, name = units[rng.integers(len(units))]
    subject = Subject(
        kind,
        name,
        instance(registry.lookup(kind, name)),
        rows=int(rng.integers(1, 8)),
        features=int(rng.integers(1, 9)),
        scale=float(10 ** rng.uniform(-4, 0.7)),  # above, a chain leaves its domain by right
        dtype=str(rng.choice(["float64", "float32"])),
        seed=seed,
    )
    others = subject.variants() if kind != "optimizer" and rng.random() < 0.4 else []
    return subject.with_unit(others[rng.integers(len(others))][1]) if others else subject


def checked(
    seeds: Sequence[int], files: Sequence[str], only: Sequence[str]
) -> tuple[Counter[str], list[str]]:
    """The counts of these seeds, and what was found wrong."""
    mine = {(one.kind, one.name) for file in files for one in registry.load_plugin(file)}
    units = sorted(mine | {(kind, name) for kind in CHECKS for name in registry.names(kind)})
    units = [one for one in units if not only or one[1] in only]
    counts: Counter[str] = Counter()
    alarms = []
    with threadpool_limits(1):
        for seed in seeds:
            subject = drawn(seed, units)
            for result in report(subject).results:
                counts[result.status] += 1
                if result.status == "fail":
                    alarms.append(f"seed {seed}: {subject}: {result.check}: {result.message}")
    return counts, alarms


def campaign(
    checks: int, first: int, files: Sequence[str], only: Sequence[str], processes: int
) -> Iterator[tuple[Counter[str], list[str]]]:
    """Counts and alarms, block by block, until there are so many checks."""
    blocks = (range(start, start + AT_ONCE) for start in itertools.count(first, AT_ONCE))
    done = 0
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        while done < checks:
            some = list(itertools.islice(blocks, processes))
            for counts, alarms in pool.map(checked, some, [files] * len(some), [only] * len(some)):
                done += counts.total() - counts["skip"]
                yield counts, alarms


def main() -> int:
    """Run the campaign and print the counts; 1 where there was a false alarm."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checks", type=int, default=10_000, help="at least so many (10000)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--units", nargs="*", default=[], metavar="FILE", help="with these units")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="of these names")
    args = parser.parse_args()
    started = time.perf_counter()
    total: Counter[str] = Counter()
    wrong = 0
    files = [str(ZOO), *args.units]
    for counts, alarms in campaign(args.checks, args.seed, files, args.only, args.processes):
        total += counts
        wrong += len(alarms)
        for alarm in alarms:
            print(alarm, flush=True)
        decided = total.total() - total["skip"]
        print(f"\r{decided} checks", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(
        f"{wrong} false alarms in {decided} checks ({total['inconclusive']} inconclusive, "
        f"{total['skip']} more skipped), {time.perf_counter() - started:.0f} s"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
