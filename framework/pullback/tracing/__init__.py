"""The staged computation of a network: every value and every gradient, by the symbols on paper."""
