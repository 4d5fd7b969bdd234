"""An ONNX file opened on the CPU, the same way for every small model: one thread a session, callers run several."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from folkmoot.records import BadInput, MissingExtra


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
        BadInput: the file is damaged.
        MissingExtra: ONNX Runtime is not installed.
    """
    require_onnxruntime(what, extra)
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as faults

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    damaged = (
        faults.Fail, faults.InvalidArgument, faults.InvalidGraph, faults.InvalidProtobuf, faults.NoSuchFile,
        faults.RuntimeException,
    )  # fmt: skip
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except damaged as error:
        raise BadInput(f"{path} cannot be read ({type(error).__name__}); train, export or copy it again") from None
