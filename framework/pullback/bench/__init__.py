"""``pullback bench``: variants beside each other, in time, memory and digits.

:mod:`~pullback.bench.race` times anything fairly; :mod:`~pullback.bench.trials` is what it times
of a unit, :mod:`~pullback.bench.peers` of another library; :mod:`~pullback.bench.measure` is the
whole comparison, as a frame.
"""
