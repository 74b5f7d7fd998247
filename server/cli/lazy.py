"""A group of commands that are loaded when they are named: each starts without what the others need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperGroup

from mosaics.loading import loading


def lazy_group(places: Mapping[str, str]) -> type[TyperGroup]:
    """Give the class of a group, for Typer's `cls`.

    Args:
        places: By the name of each command, the module and what it has there: a function, or a Typer app,
            such as `server.cli.bank:bank`.
    """

    class LazyGroup(TyperGroup):
        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            self.commands = cast("dict[str, Any]", _Commands(places))

    return LazyGroup


class _Commands(Mapping[str, Any]):
    """Commands by their names, in their order; taking one loads it."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = _load(name, self._places[name])
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _load(name: str, place: str) -> Any:
    """Load a command, or a group of them."""
    module, _, within = place.partition(":")
    with loading():
        found = getattr(import_module(module), within)
    holder = typer.Typer()
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
    else:
        holder.command(name)(found)
    return typer.main.get_group(holder).commands[name]
