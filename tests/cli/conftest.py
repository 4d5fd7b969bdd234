"""A chat endpoint for the commands that call one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a chat endpoint that takes 50 ms a call, and the log of its requests."""
    log = tmp_path / "requests.jsonl"
    process = subprocess.Popen(
        [sys.executable, str(HERE / "chat_server.py"), str(log), "0.05"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield f"openai:tiny@http://127.0.0.1:{process.stdout.readline().strip()}/v1", log
    process.kill()
    process.wait()
