"""Is this backward the pullback of its own forward? Oracles, checks, mistakes, and their matrix."""
