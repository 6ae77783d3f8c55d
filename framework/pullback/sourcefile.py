"""A Python file of a person's own as a module, from the text that stands in it now.

Python's import would do, but for its cache: bytecode counts as that of a file with the same size
and the same second of writing, and one digit may have been changed in that second.
"""

from __future__ import annotations

import io
import linecache
import sys
from importlib.util import decode_source
from pathlib import Path
from types import ModuleType


def load(path: Path, name: str) -> ModuleType:
    """Run the file and return it as the module ``name``; raises whatever the file raises.

    ``inspect.getsource`` gives the text that ran, and nothing is written beside the file.
    """
    text = path.read_bytes()
    module = ModuleType(name)
    module.__file__ = str(path)
    code = compile(text, str(path), "exec", dont_inherit=True)
    lines = io.StringIO(decode_source(text)).readlines()
    linecache.cache[str(path)] = (len(text), None, lines, str(path))  # None: as good as the file
    sys.modules[name] = module
    try:
        exec(code, vars(module))
    except BaseException:
        del sys.modules[name]
        raise
    return module
