"""What all groups of settings are made of."""

import re
from typing import Annotated, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

# What holds a password or a token, by its name in an address or a setting.
SECRET = re.compile(
    r"(^|[-_.])(access|api|auth|private|secret)?[-_]?(token|secret|passwd|password|key|credential|"
    r"signature|sig)s?$",
    re.IGNORECASE,
)

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
Snapshots = Annotated[
    int,
    Field(
        ge=0,
        description="snapshots of each training that are kept for the audit, besides the untrained "
        "weights; each is as large as the weights",
    ),
]
# Of a training: what torch and Lightning's Fabric would refuse only once the job has started.
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true"]


def _each_once(names: list[str]) -> list[str]:
    """A list as it is; of a name that stands in it twice, files and rows would be made twice."""
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"names {twice[0]!r} twice: remove one")
    return names


EachOnce = AfterValidator(_each_once)


def _without_secrets(address: str) -> str:
    """An address as it is; one that holds a password or a token is an error."""
    try:
        parts = urlsplit(address)
        names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
        web, password = parts.scheme in ("http", "https"), parts.password
    except ValueError as error:
        raise ValueError(f"is no address ({error})") from None
    secret = next((f"{name}=" for name in names if SECRET.search(name)), None)
    if password is not None or (web and "@" in parts.netloc):
        secret = "a user's name or password"
    if secret is not None:
        raise ValueError(
            f"holds {secret}, and addresses are recorded and shown: leave it out; what needs it is "
            "fetched by hand and named as path (the hub's token is read from HF_TOKEN alone)"
        )
    if not address.isprintable() or address.startswith("-"):
        raise ValueError("is no address: it has characters that none has, or begins with a dash")
    return address


Address = Annotated[str, AfterValidator(_without_secrets)]


def _without_braces(path: str) -> str:
    """A path as it is; Snakemake would take braces in it for a wildcard, or fill them in."""
    if not path.strip():
        raise ValueError("is empty; name a file or folder, `.` for the working directory")
    if "{" in path or "}" in path or "\0" in path:
        raise ValueError(
            "holds a brace or NUL, which Snakemake takes for a wildcard: rename it, or name a link"
        )
    if any(len(part.encode(errors="replace")) > 255 for part in path.split("/")):
        raise ValueError("holds a name of more than 255 bytes, which no file system has")
    return path


Place = Annotated[str, AfterValidator(_without_braces)]


class Closed(BaseModel):
    """A group of settings that knows all its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
