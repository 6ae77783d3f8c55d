"""Runs side by side: a frame of them, tables, a picture. Run directories are the truth."""
