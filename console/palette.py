"""The palette (ctrl+p): every registered command by name, with its key."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from console.commands import REGISTRY
from console.screens.lines import readable_key

if TYPE_CHECKING:
    from console.app import WatchfloorApp


class CommandProvider(Provider):
    """Offers the registry to Textual's palette."""

    @property
    def _console(self) -> WatchfloorApp:
        return cast("WatchfloorApp", self.app)

    async def discover(self) -> Hits:
        for command in REGISTRY:
            if not command.hidden:
                keys = " ".join(readable_key(key) for key in self._console.keymap.keys_of(command.id))
                yield DiscoveryHit(
                    f"{command.id}  {keys}",
                    partial(self._console.run_by_name, command.id),
                    help=command.help,
                )

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command in REGISTRY:
            score = matcher.match(f"{command.id} {command.help}")
            if score > 0 and not command.hidden:
                yield Hit(
                    score,
                    matcher.highlight(command.id),
                    partial(self._console.run_by_name, command.id),
                    help=command.help,
                )
