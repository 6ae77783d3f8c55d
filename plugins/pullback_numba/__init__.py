"""Units compiled by Numba: each is called as the plain one that it stands for, and ``_numba``."""
