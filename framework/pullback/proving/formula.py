"""The formula of a backward, derived from the unit's own code: for C classes, in its own symbols.

Of a layer of rows it is the local Jacobian, ∂y_j/∂x_i for j = i and for j ≠ i; of a loss the
gradient of each of the stages it stands for, those that it names or a member of its family does.
An expression is found for three and four classes, where its entries do not depend on one another,
and proved for every number of classes that is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from pullback import registry
from pullback.notation import notation_of
from pullback.proving.algebra import Formula, Undecided
from pullback.proving.branches import branches, cases_of
from pullback.proving.calculus import exp, slope
from pullback.proving.expressions import Expression, Factor
from pullback.proving.patterns import (
    Atoms,
    evaluated,
    general,
    matched,
    polynomial,
    tiers,
)
from pullback.proving.runs import NoFormula, Run, on_symbols
from pullback.units import Array
from pullback.verify.cases import Case, Subject
from pullback.verify.laws.relations import Chain
from pullback.verify.outcome import Failed

FOUND_FOR = (3, 4)

Entry: TypeAlias = tuple[Formula, Atoms]  # one number of a Jacobian or a gradient, and its symbols


@dataclass(frozen=True)
class Rule:
    """A stage y = f(x): ∂y_j/∂x_i for j = i, one for each branch if they differ, and for j ≠ i."""

    output: str
    input: str
    equation: str
    same: tuple[Expression, ...]
    other: Expression


@dataclass(frozen=True)
class Derivation:
    """The rules of the stages of a row, and the gradients on the way back through them.

    ``target`` is what the target of a loss is called, whose ``gradients`` are those for dℓ = 1, the
    last stage's first; a layer has neither. All of it is proved for each number of ``classes``. Of
    a layer with parameters there are ``entries`` alone: the first of each gradient for two rows of
    two features, in the entries of its inputs and of dy.
    """

    name: str
    classes: tuple[int, ...]
    target: str = ""
    rules: tuple[Rule, ...] = ()
    gradients: tuple[tuple[str, Expression], ...] = ()
    entries: tuple[tuple[str, Expression], ...] = ()


@dataclass(frozen=True)
class Stage:
    """A unit in its place in a chain, and what its input and its output are called."""

    unit: Any
    input: str
    output: str
    equation: str


def derive(subject: Subject, classes: Iterable[int] = ()) -> Derivation | None:
    """Of a layer or a loss; None where no short formula is found."""
    known = tuple(sorted({2, *FOUND_FOR, *classes}))
    try:
        if len(subject.case().inputs) > 1:
            return _with_parameters(subject)
        return _layer(subject, known) if subject.kind == "layer" else _loss(subject, known)
    except (ValueError, ZeroDivisionError, NoFormula, Undecided, Failed):
        return None


def _layer(subject: Subject, classes: Sequence[int]) -> Derivation:
    own = notation_of(subject.unit)
    stage = Stage(subject.unit, own.inputs[0], own.output, own.forward)
    cases = {C: _one_row(subject, C) for C in classes}
    return Derivation(subject.name, tuple(classes), rules=(_rule(stage, cases, subject),))


def _with_parameters(subject: Subject) -> Derivation:
    """ValueError where a gradient is no short polynomial, NoFormula where branches differ."""
    if len(branches(subject, 2)[0].cases) > 1:
        raise NoFormula
    case = cases_of(subject, 2, 2)[0]
    run, own = on_symbols(case), notation_of(subject.unit, len(case.inputs))
    symbols = {f"x{place}": name for place, name in enumerate(own.inputs)}
    symbols["dy"] = f"d{own.output}"
    entries = [
        (name, polynomial(g.flat[0], symbols))
        for name, g in zip(own.inputs, run.gradients, strict=True)
    ]
    return Derivation(subject.name, (2,), entries=tuple(entries))


def _loss(subject: Subject, classes: Sequence[int]) -> Derivation:
    """Rules of the stages before the last, and the gradients of every value but ℓ."""
    stages, target = _stages(subject), _target(subject.unit)
    rules, gradients = list[Rule](), list[tuple[str, Expression]]()
    cases = {C: _one_row(subject, C) for C in classes}
    for place, stage in enumerate(stages):
        rest = stages[place:]
        unit = Chain([one.unit for one in rest]) if place else subject.unit
        whole = {C: replace(case, unit=unit) for C, case in cases.items()}
        gradients.append((stage.input, _gradient(rest, target, whole)))
        if stage is not stages[-1]:
            cases = {C: replace(case, unit=stage.unit, target=()) for C, case in cases.items()}
            rules.append(_rule(stage, cases, subject))
            cases = {C: _after(one, whole[C]) for C, one in cases.items()}
    back = tuple(gradients[::-1])
    return Derivation(subject.name, tuple(classes), target, tuple(rules), back)


def _after(stage: Case, whole: Case) -> Case:
    """The case of the rest of a chain."""
    return replace(whole, inputs=(stage.forward()[0],))


def _stages(subject: Subject) -> list[Stage]:
    """Those that the unit names, or a member of its family, or itself as the only one."""
    units = [subject.unit, *(unit for _, unit in subject.relatives())]
    named: Mapping[str, Any] = next((one.stages for one in units if hasattr(one, "stages")), {})
    own = notation_of(subject.unit)
    if any(registry.kind_of(type(one)) == "loss" for one in list(named.values())[:-1]):
        named = {}  # a row of it has no longer a value for each class
    found, x = list[Stage](), own.inputs[0]
    for symbol, unit in (named or {own.output: subject.unit}).items():
        inner = notation_of(unit)
        inner = inner.in_terms_of({inner.inputs[0]: x, inner.output: symbol})
        found.append(Stage(unit, x, symbol, inner.forward))
        x = symbol
    return found


def _target(unit: Any) -> str:
    """What the docstring calls the target."""
    return "T" if " T" in registry.equation(type(unit)) else "t"


def _one_row(subject: Subject, classes: int) -> Case:
    """A row; the target of a loss is a row of numbers, if it takes one."""
    cases = cases_of(subject, 1, classes)
    rows = [one for one in cases if all(t.dtype.kind not in "iub" for t in one.target)]
    return (rows or cases)[0]


# The local Jacobian of a stage


def _rule(stage: Stage, cases: Mapping[int, Case], subject: Subject) -> Rule:
    runs = {C: on_symbols(case) for C, case in cases.items()}
    plain, more = _symbols(stage, "i", "j")
    other = _short({C: _entries(stage, run, apart=True) for C, run in runs.items()}, plain, more)
    plain, more = _symbols(stage, "i")
    if other:
        entries = {C: _entries(stage, run, apart=False) for C, run in runs.items()}
        same = [_short(entries, plain, more)]
    else:
        alone = branches(replace(subject, unit=stage.unit, kind="layer"), 1)[0].cases
        each = [_entries(stage, on_symbols(one), apart=False) for one in alone]
        same = [_short({1: entries}, plain, more) for entries in each]
    return Rule(stage.output, stage.input, stage.equation, tuple(dict.fromkeys(same)), other)


def _symbols(stage: Stage, *indices: str) -> tuple[list[Factor], list[Factor]]:
    """The entries of y; and those of x, and of e^y."""
    y = [Factor(stage.output, index) for index in indices]
    x = [Factor(stage.input, index) for index in indices]
    return y, [*x, *(replace(one, of="exp") for one in y)]


def _entries(stage: Stage, run: Run, *, apart: bool) -> list[Entry]:
    """∂y_j/∂x_i of a row, for all j ≠ i or for all j = i."""
    x, y = run.inputs[0][0], run.y[0]
    if x.shape != y.shape:
        raise ValueError("its output is not shaped like its input")
    places = range(len(x))
    pairs = [(i, j) for i in places for j in places if (i != j) == apart]
    return [(slope(y[j], x[i]), _atoms(stage, x, y, {"i": i, "j": j})) for i, j in pairs]


def _atoms(stage: Stage, x: Array, y: Array, at: Mapping[str, int]) -> Atoms:
    found: dict[Factor, Formula] = {}
    for index, place in at.items():
        found[Factor(stage.output, index)] = y[place]
        found[Factor(stage.input, index)] = x[place]
        found[Factor(stage.output, index, 1, "exp")] = exp(y[place])
    return found


# The gradients of a loss


def _gradient(stages: Sequence[Stage], target: str, cases: Mapping[int, Case]) -> Expression:
    """dℓ/dx_i for the input x of the first of some stages, in the symbols of all values."""
    entries = {C: _of_loss(stages, target, on_symbols(case)) for C, case in cases.items()}
    names = [one.output for one in stages[:-1]]
    plain = [*(Factor(one, "i") for one in names), Factor(target, "i"), Factor(target, of="sum")]
    x = Factor(stages[0].input, "i")
    return _short(entries, plain if names else [x, *plain], [x, replace(x, of="exp")])


def _of_loss(stages: Sequence[Stage], target: str, run: Run) -> list[Entry]:
    values = _values(stages, run)
    t = run.target[0][0] if run.target else None
    dl = run.dy[0]
    found: list[Entry] = []
    for i, gradient in enumerate(run.gradients[0][0]):
        atoms = {Factor(name, "i"): value[i] for name, value in values.items()}
        x = stages[0].input
        atoms[Factor(x, "i", 1, "exp")] = exp(values[x][i])
        if t is not None:
            total = dl.algebra.total(one.terms for one in t)
            atoms |= {Factor(target, "i"): t[i], Factor(target, of="sum"): total}
        found.append((gradient / dl, atoms))
    return found


def _values(stages: Sequence[Stage], run: Run) -> dict[str, Array]:
    """The values of a row before the last stage, as formulas of the first."""
    x = run.symbols.terms(run.inputs[0])
    found = {stages[0].input: run.inputs[0][0]}
    for stage in stages[:-1]:
        x = stage.unit.forward(x)[0]
        found[stage.output] = run.symbols.formulas(x)[0]
    return found


# Short expressions


def _short(
    entries: Mapping[int, Sequence[Entry]], plain: Sequence[Factor], more: Sequence[Factor]
) -> Expression:
    """The first expression that all entries are; ValueError where there is none.

    In the plain symbols if it can be, else in more.
    """
    first = {C: some[0] for C, some in entries.items() if C in FOUND_FOR or len(entries) == 1}
    atoms = next(iter(first.values()))[1]
    for basis in tiers(
        [one for one in plain if one in atoms], [one for one in more if one in atoms]
    ):
        try:
            found = general({C: matched(f, basis, known) for C, (f, known) in first.items()})
        except (ValueError, ZeroDivisionError):
            continue
        if all(_is(found, C, *entry) for C, some in entries.items() for entry in some):
            return found
    raise ValueError("no short expression")


def _is(expression: Expression, classes: int, formula: Formula, atoms: Atoms) -> bool:
    return (formula - evaluated(expression, atoms, classes, formula)).is_zero
