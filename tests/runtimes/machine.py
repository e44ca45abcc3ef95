"""A machine of which a test knows what runs on it, whatever else runs where the test does."""

from __future__ import annotations

from pathlib import Path

from alain_magics.runtimes.providers import PROVIDERS
from tests.peers.llama_server import free_port


def write_places(file: Path, **urls: str) -> None:
    """Write a user's file of runtimes: presets of this machine run at the ``urls`` (roots), or nowhere."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    presets = [each.name for each in PROVIDERS.values() if each.local and each.base_url]
    lines = []
    for name in dict.fromkeys([*presets, *urls]):
        path = "" if name == "ollama" else "/v1"
        lines.append(f'[{name}]\nbase_url = "{urls.get(name, nowhere)}{path}"\n')
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines))
