"""Runs side by side: a frame of them, tables, pictures, a report. Run directories are the truth."""
