"""Posts -> Verdicts by prompted agents: direct, chain of thought, few shot, negotiation; and recorded opinions."""

from folkmoot.panels.agreement import Decision, Rule, decide, final_opinions
from folkmoot.panels.chain_of_thought import ChainOfThought
from folkmoot.panels.direct import Direct
from folkmoot.panels.few_shot import FewShot
from folkmoot.panels.negotiation import Negotiation
from folkmoot.panels.recorded import RecordedOpinions, heard_from
from folkmoot.panels.registry import PANELS, build_panel

__all__ = [
    "PANELS",
    "ChainOfThought",
    "Decision",
    "Direct",
    "FewShot",
    "Negotiation",
    "RecordedOpinions",
    "Rule",
    "build_panel",
    "decide",
    "final_opinions",
    "heard_from",
]
