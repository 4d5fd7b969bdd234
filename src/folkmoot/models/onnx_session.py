"""An ONNX file opened on the CPU, the same way for every small model: one thread a session, callers run several."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from folkmoot.records import MissingExtra


def require_onnxruntime(what: str, extra: str) -> None:
    """Nothing, where ONNX Runtime is installed.

    Raises:
        MissingExtra: it is not; says what wanted it and which extra brings it.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise MissingExtra(what, extra)


def cpu_session(path: Path, *, what: str, extra: str) -> Any:
    """An inference session of one thread.

    Raises:
        MissingExtra: ONNX Runtime is not installed.
    """
    require_onnxruntime(what, extra)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
