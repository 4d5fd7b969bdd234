"""A double that answers from a recorded run and from nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from folkmoot.models.chat import Completion, Message, Sampling, Schema, call_key
from folkmoot.models.ledgered import recorded_completion
from folkmoot.records import BadInput, CallFailed
from folkmoot.runs.ledger import Ledger


class ReplayedModel:
    """A ChatModel that gives the replies of a run folder's ledger; nothing is sent, paid or drawn anew.

    It bears the name of the model that was recorded, so call keys stay the same. Where a run used several models,
    each call is looked for under every one of them, and `name` joins theirs with '+'.

    Args:
        run_path: a run folder, or the `ledger.sqlite` in it.

    Raises:
        BadInput: there is no ledger, or no call in it.
    """

    def __init__(self, run_path: Path | str) -> None:
        self._path = Path(run_path)
        file = self._path / "ledger.sqlite" if self._path.is_dir() else self._path
        if not file.is_file():
            raise BadInput(f"Replaying {self._path}: there is no ledger. Name a run folder that holds 'ledger.sqlite'.")
        self._ledger = Ledger(file, read_only=True)
        self._names = self._ledger.models()
        if not self._names:
            self._ledger.close()
            raise BadInput(f"Replaying {self._path}: its ledger holds no answered call. Run it with a model first.")

    @property
    def name(self) -> str:
        return "+".join(self._names)

    async def complete(
        self, messages: Sequence[Message], schema: Schema | None = None, sampling: Sampling = Sampling()
    ) -> Completion:
        """The recorded reply.

        Raises:
            CallFailed: the run holds no such call.
        """
        keys = [call_key(name, messages, schema, sampling) for name in self._names]
        for key in keys:
            record = self._ledger.get(key)
            if record is not None:
                return recorded_completion(record, self._ledger)
        raise CallFailed(
            f"Replaying {self._path}: it holds no call {keys[0][:12]}. The posts, the prompts, the sampling or the "
            "schema differ from the recorded run's.",
            calls=(keys[0],),
        )

    async def aclose(self) -> None:
        """Nothing; the ledger is closed."""
        self._ledger.close()
