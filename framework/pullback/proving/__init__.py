"""Proofs: that a backward is the derivative of its forward, from the formulas of their own code."""
