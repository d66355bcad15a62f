"""What a proxy in the comparison is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .world import World


class Unavailable(Exception):
    """A proxy cannot be had, or does not do what it is compared for. The others go on without it."""


@dataclass(frozen=True)
class Start:
    """How to run a proxy in the foreground, and where its standard output goes if that is its access log."""

    argv: list[str]
    stdout: Path | None = None
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Peer:
    """A proxy. One that `guards` must refuse what World.intruders send and name the tenant to the backend.

    With several issuers, its tokens come from all of them in turn, and there are as many tenants."""

    name: str
    program: str
    start: Callable[[World, Path, int], Start]
    guards: bool
    about: str
    issuers: int = 1
