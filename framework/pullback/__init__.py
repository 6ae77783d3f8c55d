"""Write a backward pass by hand. Prove it. Race it. Compare it in training. Keep the evidence."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pullback.data import Data as Data
    from pullback.data import Split as Split
    from pullback.data import from_arrays as from_arrays
    from pullback.data import prepare as prepare
    from pullback.derivations.judge import explain as explain
    from pullback.derivations.verdict import Verdicts as Verdicts
    from pullback.errors import PullbackError as PullbackError
    from pullback.net import Net as Net
    from pullback.options import build as build
    from pullback.proving.findings import Findings as Findings
    from pullback.proving.findings import prove as prove
    from pullback.recipe import Recipe as Recipe
    from pullback.registry import load_plugin as load_plugin
    from pullback.registry import register as register
    from pullback.tracing.trace import Trace as Trace
    from pullback.tracing.trace import trace as trace
    from pullback.training import Result as Result
    from pullback.training import train as train
    from pullback.verify.checks import check as check
    from pullback.verify.outcome import Report as Report

# Where each public name lives; imported when it is asked for, so that `import pullback` costs
# nothing.
_HOME = {
    "Data": "data",
    "Findings": "proving.findings",
    "Net": "net",
    "PullbackError": "errors",
    "Recipe": "recipe",
    "Report": "verify.outcome",
    "Result": "training",
    "Split": "data",
    "Verdicts": "derivations.verdict",
    "build": "options",
    "Trace": "tracing.trace",
    "check": "verify.checks",
    "explain": "derivations.judge",
    "from_arrays": "data",
    "load_plugin": "registry",
    "prepare": "data",
    "prove": "proving.findings",
    "register": "registry",
    "trace": "tracing.trace",
    "train": "training",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'pullback' has no attribute '{name}'")
    return getattr(importlib.import_module(f"pullback.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
