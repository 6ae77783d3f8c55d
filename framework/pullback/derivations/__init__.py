"""A derivation of one's own, stage by stage: which stage is the first wrong one, and why."""
