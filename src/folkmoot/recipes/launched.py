"""What a launcher (`accelerate launch`, torchrun) has started, told before torch is imported."""

from __future__ import annotations

import os

from folkmoot.records import BadInput


def one_process(doing: str) -> None:
    """Nothing, in a process that trains alone.

    Raises:
        BadInput: a launcher has started several, each of which would write the same files.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count > 1:
        raise BadInput(f"{doing} takes one process, and {count} were started. Start it without a launcher.")
