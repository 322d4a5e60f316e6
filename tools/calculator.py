"""`calculator`: evaluate an arithmetic expression."""

import math
from collections.abc import Mapping
from typing import Any

from simpleeval import DEFAULT_OPERATORS, InvalidExpression, SimpleEval

from tools.tool import Tool, arguments_schema

MAX_EXPRESSION_CHARS = 1000
MAX_RESULT_BITS = 4096
_FUNCTIONS = {"abs": abs, "round": round, "min": min, "max": max, "sqrt": math.sqrt}
_NAMES = {"pi": math.pi, "e": math.e}


def evaluate(arguments: Mapping[str, Any]) -> str:
    """Compute `expr` (numbers, + - * / // % **, comparisons, abs round min max sqrt, pi, e).

    Raises ValueError with a sentence for the model when it is not such an expression.
    """
    expression = str(arguments["expr"]).strip()
    if not expression or len(expression) > MAX_EXPRESSION_CHARS:
        raise ValueError(f"give an arithmetic expression of 1 to {MAX_EXPRESSION_CHARS} characters")
    calculator = SimpleEval(operators=dict(DEFAULT_OPERATORS), functions=dict(_FUNCTIONS), names=dict(_NAMES))
    try:
        result = calculator.eval(expression)
    except ZeroDivisionError as error:
        raise ValueError("division by zero") from error
    except (
        InvalidExpression,
        SyntaxError,
        ValueError,
        TypeError,
        ArithmeticError,
        RecursionError,
        MemoryError,
    ) as error:
        raise ValueError(
            "this expression cannot be computed; use numbers, + - * / // % **, abs, round, min, max, sqrt"
        ) from error
    if not isinstance(result, int | float):
        raise ValueError("the result is not a number")  # noqa: TRY004 the model reads it, nobody catches a type
    if isinstance(result, int) and result.bit_length() > MAX_RESULT_BITS:
        raise ValueError("the result has too many digits")
    return str(result)


CALCULATOR = Tool(
    name="calculator",
    description="Compute an arithmetic expression such as `2 * (3 + 4)` exactly. Numbers only: it runs no command.",
    parameters=arguments_schema({"expr": {"type": "string"}}, required=["expr"]),
    runs="local",
    access="none",
    execute=evaluate,
)
