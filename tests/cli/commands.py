"""The command line in processes of its own, as shells and schedulers start it; some of them are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def folkmoot(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "folkmoot", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, timeout=600, env=os.environ | {"COLUMNS": "200"}
    )


def kill_once(ready: Callable[[], bool], *arguments: object, cwd: Path | None = None) -> None:
    """Starts the command and kills it, without a warning, as soon as it is `ready`; it must not have ended before."""
    command = [sys.executable, "-m", "folkmoot", *map(str, arguments)]
    victim = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=cwd)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and victim.poll() is None and not ready():
        time.sleep(0.02)
    victim.send_signal(signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL, "it ended before it could be killed"
