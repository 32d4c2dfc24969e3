"""The base of every value in the model."""

from typing import Self

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A frozen value that prints as JSON and refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def but(self, **changes: object) -> Self:
        """The same value with `changes`, validated like a new one."""
        return type(self).model_validate({**{name: getattr(self, name) for name in type(self).model_fields}, **changes})
