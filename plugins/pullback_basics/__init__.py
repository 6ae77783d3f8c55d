"""Layers, losses, optimizers and data sets in plain NumPy: each family a file."""
