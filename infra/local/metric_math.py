"""Metric math of CloudWatch, as far as the templates' alarms use it: arithmetic, comparisons, `IF` and `FILL`. Pure.

A value is None where a metric has none. Arithmetic with None is None, as a point without a value is no point; what is
divided by zero is none either. Anything else of metric math is refused, so that an alarm that uses it is not decided
wrongly in silence."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

Value = float | None
_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARE: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


class MathNotKnown(ValueError):
    """An expression with something that is not computed here."""


def evaluate(expression: str, values: Mapping[str, Value]) -> Value:
    """The value of an expression in one period. values: of its metrics, by their ids. Raises MathNotKnown."""
    try:
        # Its syntax is that of Python's expressions, but for AND and OR, which are not known here.
        tree = ast.parse(expression, mode="eval").body
    except SyntaxError as error:
        raise MathNotKnown(expression) from error
    return _value(tree, values)


def _value(node: ast.expr, values: Mapping[str, Value]) -> Value:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name) if name in values:
            return values[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            found = _value(operand, values)
            return None if found is None else -found
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _combined(_BINARY[type(op)], _value(left, values), _value(right, values))
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
            return _combined(_COMPARE[type(op)], _value(left, values), _value(right, values))
        case ast.Call(func=ast.Name(id="IF"), args=[condition, then, otherwise]):
            chosen = _value(condition, values)
            return None if chosen is None else _value(then if chosen else otherwise, values)
        case ast.Call(func=ast.Name(id="FILL"), args=[filled, filling]):
            found = _value(filled, values)
            return _value(filling, values) if found is None else found
        case _:
            raise MathNotKnown(ast.unparse(node))


def _combined(combine: Callable[[float, float], Any], left: Value, right: Value) -> Value:
    if left is None or right is None:
        return None
    try:
        return float(combine(left, right))
    except ZeroDivisionError:
        return None
