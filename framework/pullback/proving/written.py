"""A derivation as equations, in any style: the local Jacobians, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pullback.proving.expressions import (
    Expression,
    Factor,
    Monomial,
    Style,
    for_classes,
    indexed,
    scaled,
    times,
    total,
)
from pullback.proving.formula import Derivation, Rule

FEW = 3  # classes of which every entry is written
ONE: Expression = (Monomial(1, 0, ()),)


@dataclass(frozen=True)
class Equation:
    """Sides that are equal, each written in one style; and a remark, in plain words."""

    sides: tuple[str, ...]
    remark: str = ""


def equations(derivation: Derivation, style: Style) -> list[Equation]:
    """For C classes: the local derivatives of the stages, then what comes out on the way back."""
    if derivation.entries:
        return [_entry(name, value, style) for name, value in derivation.entries]
    found = [one for rule in derivation.rules for one in _local(rule, style)]
    if not derivation.gradients:
        return [*found, _way_back(derivation.rules[0], style)]
    rules = {rule.input: rule for rule in derivation.rules}
    for name, gradient in derivation.gradients:
        found.append(_of_loss(derivation.target, name, gradient, rules.get(name), style))
    return found


def explicit(derivation: Derivation, classes: int, style: Style) -> Equation | None:
    """The gradient of a loss, or a layer's Jacobian if it has entries beside its diagonal.

    For so many classes: of a few every entry, of many the first and the last.
    """
    places = [str(n) for n in range(1, classes + 1)]
    if classes > FEW:
        places = [*places[:2], "…", places[-1]]

    def cell(expression: Expression, at: dict[str, str]) -> str:
        if "…" in at.values():
            return style.dots
        return style.expression(indexed(for_classes(expression, classes), at))

    if derivation.gradients:
        name, gradient = derivation.gradients[-1]
        row = [cell(gradient, {"i": one}) for one in places]
        return Equation((style.symbol(f"d{name}", ""), style.matrix([row])), f"1 × {classes}")
    rule = derivation.rules[0] if derivation.rules else None
    if rule is None or not rule.other:
        return None
    rows = [
        [cell(rule.same[0] if i == j else rule.other, {"i": i, "j": j}) for i in places]
        for j in places
    ]
    return Equation((style.symbol("J", ""), style.matrix(rows)), f"{classes} × {classes}")


def _entry(name: str, value: Expression, style: Style) -> Equation:
    return Equation((style.symbol(f"d{name}", "11"), style.expression(value)))


def _local(rule: Rule, style: Style) -> Iterator[Equation]:
    """∂y_j/∂x_i, and the matrix J of a row: a line for each y_j, a column for each x_i."""
    first, *others = (style.expression(one) for one in rule.same)
    remark = f"or {' or '.join(others)}, by the branch" if others else ""
    yield Equation((style.partial(rule.output, "i", rule.input, "i"), first), remark)
    if rule.other:
        left = style.partial(rule.output, "j", rule.input, "i")
        yield Equation((left, style.expression(rule.other)), "j ≠ i")
        parts = _parts(rule)
        if parts is not None:
            yield Equation((style.symbol("J", ""), _matrix(parts, style)))


@dataclass(frozen=True)
class Parts:
    """∂y_j/∂x_i = own_i δ_ij + of_x of_y, with a product of x_i's index and one of y_j's."""

    own: Expression
    of_x: Expression
    of_y: Expression


def _parts(rule: Rule) -> Parts | None:
    """The parts of a Jacobian; None where what is beside the diagonal is no single product."""
    if len(rule.other) != 1 or len(rule.same) != 1:
        return None
    (product,) = rule.other
    of_x = Monomial(product.coefficient, product.classes, _of_index(product, "i"))
    of_y = Monomial(1, 0, _of_index(product, "j"))
    own = total(rule.same[0], scaled(indexed(rule.other, {"j": "i"}), -1))
    return Parts(own, (of_x,), (of_y,))


def _of_index(product: Monomial, index: str) -> tuple[Factor, ...]:
    return tuple(one for one in product.factors if one.index == index)


def _matrix(parts: Parts, style: Style) -> str:
    """diag(own) ± of_yᵀ of_x."""
    own, of_x, of_y = (
        style.expression(indexed(one, {"i": "", "j": ""}))
        for one in (parts.own, _positive(parts.of_x), parts.of_y)
    )
    diagonal = style.words("I") if parts.own == ONE else style.diagonal(own)
    sign = style.minus if parts.of_x[0].coefficient < 0 else style.plus
    return f"{diagonal} {sign} {style.transposed(of_y)}{of_x}"


def _positive(expression: Expression) -> Expression:
    return scaled(expression, -1) if expression[0].coefficient < 0 else expression


def _chain_rule(rule: Rule, style: Style) -> str:
    """Σ_j dy_j ∂y_j/∂x_i, which is dy_i ∂y_i/∂x_i where y_i depends on x_i alone."""
    j = "j" if rule.other else "i"
    slope = style.partial(rule.output, j, rule.input, "i")
    product = style.symbol(f"d{rule.output}", j) + style.space + slope
    return style.summed(product, "j") if rule.other else product


def _way_back(rule: Rule, style: Style) -> Equation:
    """dx_i by the chain rule, and written out."""
    sides = [style.symbol(f"d{rule.input}", "i"), _chain_rule(rule, style)]
    dy = f"d{rule.output}"
    parts = _parts(rule) if rule.other else None
    if parts is not None:
        own = style.expression(times(parts.own, Factor(dy, "i")))
        sign = style.minus if parts.of_x[0].coefficient < 0 else style.plus
        of_x = style.expression(_positive(parts.of_x))
        summed = style.summed(style.expression(times(parts.of_y, Factor(dy, "j"))), "j")
        sides.append(f"{own} {sign} {of_x}{style.space}{summed}")
    elif not rule.other and len(rule.same) == 1:
        sides.append(_product(rule.same[0], style.symbol(dy, "i"), style))
    return Equation(tuple(sides))


def _of_loss(
    target: str, name: str, gradient: Expression, rule: Rule | None, style: Style
) -> Equation:
    """The gradient of one value of a row: by the chain rule, and with dℓ, which arrives."""
    whole, dl = Factor(target, of="sum"), style.symbol("dℓ", "")
    sides = [style.symbol(f"d{name}", "i")]
    if rule is not None:
        sides.append(_chain_rule(rule, style))
    sides.append(_product(gradient, dl, style))
    if not any(whole in one.factors for one in gradient):
        return Equation(tuple(sides))
    of_one = tuple(
        Monomial(one.coefficient, one.classes, tuple(f for f in one.factors if f != whole))
        for one in gradient
    )
    return Equation((*sides, _product(of_one, dl, style)), f"the last where Σ{target} = 1")


def _product(expression: Expression, factor: str, style: Style) -> str:
    """An expression times one more factor."""
    if expression == ONE:
        return factor
    text = style.expression(expression)
    return (style.bracketed(text) if len(expression) > 1 else text) + style.space + factor
