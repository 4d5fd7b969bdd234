"""Evaluation: verdicts and gold labels in, metrics, statistics and a report out."""

from folkmoot.evaluation.agreement import (
    AgentScore,
    RoundAgreement,
    agreement_by_round,
    krippendorff_alpha,
    krippendorff_interval,
    score_agents,
)
from folkmoot.evaluation.calibration import ReliabilityBin, brier_score, calibration_error, reliability_bins
from folkmoot.evaluation.comparison import Comparison, Difference, SideBySide, compare, compare_judges
from folkmoot.evaluation.contested import ContestedPost, rank_contested
from folkmoot.evaluation.mcnemar import McNemar, mcnemar
from folkmoot.evaluation.metrics import Metrics, evaluate
from folkmoot.evaluation.pairing import Pairing, pair, strangers
from folkmoot.evaluation.ranking import average_precision, roc_auc
from folkmoot.evaluation.report import write_report
from folkmoot.evaluation.selective import OperatingPoint, RiskCoverage, risk_coverage

__all__ = [
    "AgentScore",
    "Comparison",
    "ContestedPost",
    "Difference",
    "McNemar",
    "Metrics",
    "OperatingPoint",
    "Pairing",
    "ReliabilityBin",
    "RiskCoverage",
    "RoundAgreement",
    "SideBySide",
    "agreement_by_round",
    "average_precision",
    "brier_score",
    "calibration_error",
    "compare",
    "compare_judges",
    "evaluate",
    "krippendorff_alpha",
    "krippendorff_interval",
    "mcnemar",
    "pair",
    "rank_contested",
    "reliability_bins",
    "risk_coverage",
    "roc_auc",
    "score_agents",
    "strangers",
    "write_report",
]
