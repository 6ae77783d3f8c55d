"""A trained net as files, and as an MLflow pyfunc that loads without unpickling any code.

The files are the resolved config, which names the stages, and arrays: θ and what the features were
standardised with. Loading builds the stages by name, so the plugins they come from must be
installed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pullback import checkpoint, registry
from pullback.data import Data
from pullback.net import Net
from pullback.units import Array

_FACTS, _ARRAYS = "net.json", "parameters.npz"


def save(directory: Path, config: Mapping[str, Any], net: Net, data: Data) -> None:
    """Write a net with what it needs to take raw features."""
    directory.mkdir(parents=True, exist_ok=True)
    facts = {
        "net": config["net"],
        "plugins": list(config["plugins"]),
        "inputs": list(net.inputs),
        "outputs": data.outputs,
        "dtype": str(net.dtype),
        "labels": data.classes is not None,
    }
    (directory / _FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")
    arrays = {"theta": net.theta, "mean": data.mean, "scale": data.scale}
    checkpoint.save(directory / _ARRAYS, arrays, {})


class Model:
    """Raw features (N, F) in; the net's last stage out, (N, C), from :meth:`predict`."""

    def __init__(self, directory: Path) -> None:
        facts = json.loads((directory / _FACTS).read_text(encoding="utf-8"))
        for reference in facts["plugins"]:
            registry.load_plugin(reference)
        arrays, _ = checkpoint.load(directory / _ARRAYS)
        self.mean, self.scale = arrays["mean"], arrays["scale"]
        self.net = Net(
            facts["net"], tuple(facts["inputs"]), classes=facts["outputs"], dtype=facts["dtype"]
        )
        self.net.theta[...] = arrays["theta"]

    def predict(self, x: Any, params: Any = None) -> Array:  # noqa: ARG002  MLflow's signature
        """Predictions for an array or a data frame of raw features."""
        return self.net((np.asarray(x, dtype=float) - self.mean) / self.scale)


def _load_pyfunc(path: str) -> Model:
    """What MLflow calls, by the name of this module in the model's description."""
    return Model(Path(path))
