"""Why one try of a call brought no reply, as far as it decides what comes next."""

from __future__ import annotations


class Fault(Exception):
    """One try that failed. `sentence` holds no post's text, no header and nothing that the endpoint wrote freely.

    `final`: the same request will fail again. `hopeless`: every request will. `unreachable`: nobody answered.
    `overload`: the endpoint is there and has too much to do. `parameter`: the field that it does not take.
    """

    def __init__(
        self,
        sentence: str,
        *,
        status: int = 0,
        final: bool = False,
        hopeless: bool = False,
        unreachable: bool = False,
        overload: bool = False,
        retry_after: float | None = None,
        parameter: str | None = None,
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status
        self.final = final
        self.hopeless = hopeless
        self.unreachable = unreachable
        self.overload = overload
        self.retry_after = retry_after
        self.parameter = parameter
