"""Tab completion: Hydra's, behind the sub-command ``train``; the sub-commands themselves before it.

Hydra's shell script (``eval "$(pullback train -sc install=bash)"``) calls ``pullback -sc
query=bash`` with the line so far in COMP_LINE, and expects one app name in front of the overrides.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable


def query(words: list[str], commands: Iterable[str]) -> int:
    """Print what the last word of COMP_LINE can become, or what installs this in a shell."""
    if not words[1:] or not words[1].startswith("query="):
        from pullback.app import train

        return train.main(words)
    line = os.environ.get("COMP_LINE", "")
    behind_train = re.match(r"\s*\S+\s+train\s(.*)", line)
    if behind_train is None:
        begun = line.split()[1:]
        if len(begun) > 1 or (begun and line.endswith(" ")):
            return 0  # the other commands take files, which the shell completes
        print(" ".join(name for name in commands if name.startswith("".join(begun))))
        return 0
    os.environ["COMP_LINE"] = f"pullback {behind_train[1]}"
    from pullback.app import train

    return train.main(words)
