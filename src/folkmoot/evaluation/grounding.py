"""How well explanations stand on something: measures that need no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from folkmoot.records import Record, Verdict, resolve


class Grounding(Record):
    """Over the labelled verdicts that explain themselves; higher is better, None where undefined.

    `supported` is the share of sentences with at least one anchor that resolves, `void` the share of citations that
    name nothing. `anchor_precision` is, over the passages that are cited, the share that is gold evidence of the
    post; `anchor_recall` the share of the gold passages among those retrieved that is cited.
    """

    verdicts: int
    sentences: int
    supported: float | None
    void: float | None
    fully_supported: float | None
    """The share of explanations all of whose sentences are supported."""
    by_kind: dict[str, int]
    """How often each kind of anchor is cited: passage, span, box, words, hash, finding, opinion, post."""
    anchor_precision: float | None
    anchor_recall: float | None


def ground(verdicts: Sequence[Verdict], gold_evidence: Mapping[str, frozenset[str]] | None = None) -> Grounding:
    """The grounding of the verdicts' explanations.

    Args:
        gold_evidence: the ids of the passages that bear on a post, by post; None where nobody knows them.
    """
    explained = [verdict for verdict in verdicts if verdict.label is not None and verdict.explanation]
    sentences = supported = citations = void = whole = 0
    kinds: dict[str, int] = {}
    cited_gold = cited = found_gold = found_cited = 0
    for verdict in explained:
        good = 0
        used: set[str] = set()
        for sentence in verdict.explanation:
            anchors = [resolve(name, verdict) for name in sentence.anchors]
            citations += len(anchors)
            void += sum(anchor is None for anchor in anchors)
            for anchor in anchors:
                if anchor is not None:
                    kinds[anchor.kind] = kinds.get(anchor.kind, 0) + 1
                    if anchor.kind == "passage":
                        used.add(verdict.evidence[int(anchor.name.partition(":")[2])].id)
            good += any(anchor is not None for anchor in anchors)
        sentences += len(verdict.explanation)
        supported += good
        whole += good == len(verdict.explanation)
        if gold_evidence is not None and verdict.id in gold_evidence:
            gold = gold_evidence[verdict.id]
            retrieved = {evidence.id for evidence in verdict.evidence} & gold
            cited += len(used)
            cited_gold += len(used & gold)
            found_gold += len(retrieved)
            found_cited += len(retrieved & used)
    return Grounding(
        verdicts=len(explained),
        sentences=sentences,
        supported=supported / sentences if sentences else None,
        void=void / citations if citations else None,
        fully_supported=whole / len(explained) if explained else None,
        by_kind=dict(sorted(kinds.items())),
        anchor_precision=cited_gold / cited if cited else None,
        anchor_recall=found_cited / found_gold if found_gold else None,
    )
