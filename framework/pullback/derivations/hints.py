"""What to look at in a wrong stage, without the answer."""

from __future__ import annotations

from pullback.derivations.naming import FORGOTTEN
from pullback.verify.mistakes.catalogue import named

EXPLANATIONS = {
    FORGOTTEN: "the value is used more than once on the way to L, and its gradient is the sum over "
    "all uses; one of them is missing",
}
HINTS = {
    FORGOTTEN: "count the stages that take this value; each sends a gradient back to it",
    "upstream gradient dropped": "this is the derivative of the stage alone; what became of the "
    "gradient that arrives?",
    "factor of the logarithm missing": "differentiate the logarithm of one number, on paper",
    "Jacobian skipped": "the gradient was passed on as it arrived; what does the stage itself "
    "do to a small change?",
    "already ŷ − y": "which stages together have that gradient? this stage is one of them alone",
    "sign": "follow the sign of one number through the stage",
    "factor 2 too many": "write the derivative of one entry out, and count its terms",
    "factor 2 missing": "write the derivative of one entry out, and count its terms",
    "mean taken twice": "where does the number of rows enter L, and how often?",
    "mean missing": "where does the number of rows enter L, and did its gradient arrive here?",
    "the Jacobian itself": "a gradient has the shape of its value; what is multiplied with the "
    "Jacobian to get it?",
    "diagonal only": "does an entry of the output depend on one entry of the input alone?",
    "transposed Jacobian": "which index is summed over: that of the output, or that of the input?",
    "constant instead of derivative": "is the slope the same at every input?",
    "derivative taken at the output": "at which point is the slope taken: the input or the output?",
    "wrong residual": "is the formula in terms of the input or the output, and which one is used?",
    "sum over the wrong axis": "what is one example: a row, or a column? over which axis is it?",
    "sum over the rows": "what is one example: a row, or a column? over which axis is it?",
    "one unit dropped": "is every column reached?",
    "transposed weight": "write the shapes of the product below it; which way round do they fit?",
    "transposed gradient": "write the shape of the value below the shape of its gradient",
    "not summed over the rows": "how many rows use this parameter?",
    "first row only": "how many rows use this parameter?",
    "mean of the rows in a weight": "where does the number of rows enter L, and how often?",
    "mean of the rows in all parameters": "where does the number of rows enter L, and how often?",
    "axes of length 1 squeezed": "write the shape of the value below the shape of its gradient",
}
OTHERWISE = "vary one entry of the value by a little: what happens to L, and through which stages?"
OF_SHAPE = "write the shape of the value below the shape of its gradient"


def hint(mistake: str, *, of_shape: bool = False) -> str:
    """The question that leads to it."""
    return HINTS.get(mistake, OF_SHAPE if of_shape else OTHERWISE)


def explanation(mistake: str) -> str:
    """What the mistake is, which may be the answer."""
    return EXPLANATIONS.get(mistake) or named(mistake).get("explanation", "")
