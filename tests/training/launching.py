"""Two processes on this machine, as torchrun starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def launch(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """How both ended; a command is a program's file or `-m` and a module, and its arguments."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE)}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*torchrun, *command], env=environment, capture_output=True, text=True, timeout=900, check=False, cwd=cwd
    )
