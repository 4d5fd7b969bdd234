"""The error tree. Every error says what was attempted, what arrived, what is accepted and what to do.

    FolkmootError
    ├── BadInput             a file, a field, an option or a recipe that cannot be used    (exit 2)
    │   ├── BadRecord        ... with the file, the line and the field
    │   └── RunMismatch      a run folder that holds another configuration
    ├── MissingExtra         a heavy dependency that is not installed                      (exit 2)
    ├── BudgetReached        --max-cost or --max-calls stopped the run cleanly             (exit 3)
    ├── StorageFailed        a full disk, a corrupt ledger                                 (exit 1)
    ├── TooManyFailures      more posts failed than the run allows                         (exit 1)
    └── ModelError           a model's call went wrong                                     (exit 1)
        ├── CallFailed       this call failed for good after its retries; others may work
        └── EndpointDown     nobody answers at that address; no call will work

No message carries a post's text or a secret.
"""

from __future__ import annotations

from pathlib import Path


class FolkmootError(Exception):
    """The root. `exit_code` is what the command line returns; `retryable` says if the same call may work later.

    `so_far` is the summary of a run that was stopped, where there is one.
    """

    exit_code = 1
    retryable = False
    so_far: object | None = None


class BadInput(FolkmootError):
    """Something the user gave cannot be used as it is."""

    exit_code = 2


class BadRecord(BadInput):
    """One record of a file cannot be used. The message names the file, the line and the field."""

    def __init__(self, path: Path | str, line: int | None, field: str | None, problem: str, remedy: str = "") -> None:
        self.path, self.line, self.field = str(path), line, field
        where = self.path + (f", line {line}" if line is not None else "") + (f", field '{field}'" if field else "")
        super().__init__(f"{where}: {problem}" + (f" {remedy}" if remedy else ""))


class RunMismatch(BadInput):
    """The run folder was made with another configuration; resuming would mix two experiments."""


class MissingExtra(FolkmootError):
    """A heavy dependency is missing. The message is one sentence with the install command."""

    exit_code = 2

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what} needs the '{extra}' extra: pip install 'folkmoot[{extra}]'")


class BudgetReached(FolkmootError):
    """The spending limit was reached. What is done is kept; the same command with a higher limit goes on."""

    exit_code = 3


class StorageFailed(FolkmootError):
    """The disk or the ledger refused to keep a record."""


class TooManyFailures(FolkmootError):
    """More posts than allowed have an outcome that is a failure."""


class ModelError(FolkmootError):
    """A model's call went wrong."""


class CallFailed(ModelError):
    """A call failed for good. `calls` are the ledger keys of what was sent."""

    retryable = True

    def __init__(self, message: str, *, calls: tuple[str, ...] = ()) -> None:
        self.calls = calls
        super().__init__(message)


class EndpointDown(ModelError):
    """Nobody answers at the endpoint, so the run stops rather than failing post by post."""

    retryable = True
