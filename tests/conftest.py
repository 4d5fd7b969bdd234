"""What every test gets: no network but loopback, and the shared invented posts on the path."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "training"))

LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections to anything but this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> Any:
        if isinstance(address, tuple) and not str(address[0]).startswith(LOOPBACK):
            raise OSError(f"a test tried to reach {address[0]}; tests stay on this machine")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def tell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The exit code, stdout and stderr of a command, as a shell gets them, within this process."""
    from folkmoot.cli import main

    def tell(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["folkmoot", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return tell


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a chat endpoint that takes 50 ms a call, and the log of its requests."""
    log = tmp_path / "requests.jsonl"
    program = Path(__file__).parent / "cli" / "chat_server.py"
    process = subprocess.Popen([sys.executable, str(program), str(log), "0.05"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield f"openai:tiny@http://127.0.0.1:{process.stdout.readline().strip()}/v1", log
    process.kill()
    process.wait()
