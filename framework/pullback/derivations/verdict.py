"""What is said of a derivation: of each stage, and of the first that is wrong."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["right", "wrong", "to do"]


@dataclass(frozen=True)
class Judged:
    """One backward stage. ``hint`` says what to look at, ``explanation`` what the mistake is.

    ``message`` is what is wrong with it; ``solution`` the right stage, where its form is known.
    """

    name: str
    line: int
    status: Status
    message: str = ""
    mistake: str = ""
    hint: str = ""
    explanation: str = ""
    solution: str = ""


@dataclass(frozen=True, repr=False)
class Verdicts:
    """All stages of a derivation, in the order of the way back. True where all are right."""

    path: str
    form: str
    seeds: tuple[int, ...]
    stages: tuple[Judged, ...]

    def __bool__(self) -> bool:
        return bool(self.stages) and all(one.status == "right" for one in self.stages)

    def __repr__(self) -> str:
        return f"{self.path}: " + ", ".join(f"{one.name} {one.status}" for one in self.stages)

    def __str__(self) -> str:
        from pullback.derivations.table import plain

        return plain(self)

    def _repr_html_(self) -> str:
        import html

        from pullback import pages

        return pages.fragment(f"<pre>{html.escape(str(self))}</pre>")

    @property
    def first(self) -> Judged | None:
        """The first stage that is not right: what is wrong, before what is still to do."""
        wrong = [one for one in self.stages if one.status == "wrong"]
        return next(iter([*wrong, *(one for one in self.stages if one.status == "to do")]), None)

    def marks(self) -> dict[str, Any]:
        """For a teacher, as JSON: a mark for each stage, 1 or 0, and how to judge it so again."""
        stages = [
            {"mark": int(one.status == "right"), **asdict(one), "solution": None}
            for one in self.stages
        ]
        return {
            "file": self.path,
            "form": self.form,
            "seeds": list(self.seeds),
            "stages": [{k: v for k, v in one.items() if k != "solution"} for one in stages],
            "total": sum(int(one.status == "right") for one in self.stages),
            "of": len(self.stages),
        }
