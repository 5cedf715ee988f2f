"""What all groups of settings are made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="letters, digits, dots, dashes and underscores; it becomes a file's name",
    ),
]
Subject = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9]+$", description="a subject's label, such as `UTS02`")
]


class Closed(BaseModel):
    """A group of settings that knows all its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)
