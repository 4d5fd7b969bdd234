"""Questions -> Evidence. One verb: `retriever.retrieve(question)`."""

from folkmoot.evidence.retriever import Question, Retriever, SourceDown

__all__ = ["Question", "Retriever", "SourceDown"]
