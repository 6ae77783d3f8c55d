"""Contenders for the tests of a race: they are imported by other processes."""

from __future__ import annotations

import os
import time

import numpy as np


class Sleeper:
    """A call takes so many seconds; the answer is the cores that the process has."""

    def __init__(self, seconds):
        self.seconds = seconds

    def call(self):
        time.sleep(self.seconds)

    def answer(self):
        return [np.array(sorted(os.sched_getaffinity(0)))]

    def costs(self):
        return {}


def quick(workload):
    return Sleeper(0.0005 * workload)


def slow(workload):
    return Sleeper(0.005 * workload)


def hangs(workload):
    return Sleeper(3600 if workload > 1 else 0.001)


def raises(workload):
    raise ValueError(f"takes no {workload}")


def greedy(workload):
    raise MemoryError


def dies(workload):
    os._exit(3)
