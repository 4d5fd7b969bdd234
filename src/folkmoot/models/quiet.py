"""What transformers and peft say on their own on stderr, beside what a command says, kept quiet."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator


def without_progress_bars() -> None:
    """Nothing; from now on transformers draws no bar while it loads or writes weights."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()


@contextlib.contextmanager
def peft_asking() -> Iterator[None]:
    """A context in which peft may ask a model by a name that transformers 5 has renamed, which warns each time."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        yield
