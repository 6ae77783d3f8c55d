"""The values of an option as places along an axis: evenly spaced, numbers by size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pullback.compare.frame import option_text


@dataclass(frozen=True)
class Scale:
    """``values`` in their order, each once; a place is a number from 0."""

    values: list[Any]

    @classmethod
    def of(cls, values: Iterable[Any]) -> Scale:
        distinct = list(dict.fromkeys(values))
        return cls(sorted(distinct) if _are_numbers(distinct) else distinct)

    @property
    def is_of_numbers(self) -> bool:
        return _are_numbers(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def place(self, value: Any) -> int:
        return self.values.index(value)

    def marks(self, most: int) -> list[tuple[int, str]]:
        """Places with their names; of many, as many as there is room for, the ends among them."""
        last = len(self.values) - 1
        places = (
            range(last + 1) if last < most else {round(i * last / most) for i in range(most + 1)}
        )
        return [(i, option_text(self.values[i])) for i in sorted(places)]


def _are_numbers(values: Iterable[Any]) -> bool:
    return all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)
