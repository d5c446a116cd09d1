"""Stripe's errors: a status and the object `error` of its documents."""

from __future__ import annotations

from typing import Any


class StripeError(Exception):
    """A request that Stripe refuses. `status`: the HTTP status; `error`: the content of the answer's `error`."""

    def __init__(
        self, status: int, message: str, *, type: str = "invalid_request_error", code: str | None = None, **fields: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error: dict[str, Any] = {"message": message, "type": type}
        if code:
            self.error["code"] = code
            self.error["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
        self.error.update({name: value for name, value in fields.items() if value is not None})


class ParameterError(StripeError):
    """A request whose parameters are not valid: it was refused before it began, so its idempotency key is not used."""


def invalid(message: str, param: str | None = None, code: str | None = None) -> StripeError:
    """The refusal of a request that is well-formed and cannot be carried out."""
    return StripeError(400, message, code=code, param=param)


def missing(kind: str, reference: object, param: str = "id", *, in_path: bool = False) -> StripeError:
    """The refusal of a reference to an object that is not there."""
    text = f"No such {kind.replace('.', ' ').replace('_', ' ')}: '{reference}'"
    return StripeError(404 if in_path else 400, text, code="resource_missing", param=param)


def unknown_parameters(names: list[str]) -> StripeError:
    """The refusal of parameters that the operation does not know."""
    word = "parameter" if len(names) == 1 else "parameters"
    return ParameterError(400, f"Received unknown {word}: {', '.join(names)}", code="parameter_unknown", param=names[0])


def missing_parameter(name: str) -> StripeError:
    """The refusal of a request without a required parameter."""
    return ParameterError(400, f"Missing required param: {name}.", code="parameter_missing", param=name)
