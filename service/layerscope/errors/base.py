"""The root of every error."""

from collections.abc import Iterator
from typing import ClassVar


class LayerscopeError(Exception):
    """The root: a message for a person, a `code` for a program, and `details` for both."""

    code: ClassVar[str]

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def __eq__(self, other: object) -> bool:
        # Errors can be part of a plan or of a result, which are data: two are equal that say the same.
        if not isinstance(other, LayerscopeError) or type(other) is not type(self):
            return NotImplemented
        return (self.message, self.details) == (other.message, other.details)

    def __hash__(self) -> int:
        return hash((type(self), self.message))


def error_with_code(code: str, message: str, details: dict[str, object]) -> LayerscopeError:
    """The error that another process reported as a code.

    Raises:
        LookupError: there is no such code.
    """
    kinds = {kind.code: kind for kind in _kinds(LayerscopeError) if "code" in vars(kind)}
    return kinds[code](message, **details)


def _kinds(kind: type[LayerscopeError]) -> Iterator[type[LayerscopeError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _kinds(each)
