"""When is evidence from outside worth its price: the planner's gate."""

from __future__ import annotations

from typing import Literal

Gate = Literal["confidence", "need", "always", "never"]


def opens(gate: Gate, *, need: bool | None, confidence: float | None, threshold: float) -> bool:
    """Whether to retrieve.

    - `confidence`: evidence is needed AND the planner's confidence is below the threshold; where its reply could not
      be read (None), yes.
    - `need`: unless the planner says that none is needed (FakeAgent's code at its head).
    - `always`, `never`.

    Paper: FakeAgent retrieves where confidence is insufficient; its code once had both conditions and the threshold
    of 60%, and skipped retrieval on a bad reply. We retrieve then: not to know is a reason to look.
    """
    if gate in ("always", "never"):
        return gate == "always"
    if need is None or confidence is None:
        return True
    return need if gate == "need" else need and confidence < threshold
