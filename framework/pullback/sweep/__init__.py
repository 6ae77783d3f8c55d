"""Sweeps: a directory of runs, worker processes that make them, and what is left to be done."""
