"""The run folder: manifest, call ledger, verdict log, budget, resume; running a Judge over posts."""

from folkmoot.runs.atomic import atomic_file, write_atomically
from folkmoot.runs.budget import Budget, Price, Spending
from folkmoot.runs.folder import RunFolder
from folkmoot.runs.judging import Progress, RunPlan, RunSummary, judge_posts, plan_run
from folkmoot.runs.ledger import CallCosts, CallRecord, Ledger, LedgerTotals
from folkmoot.runs.on_ray import judge_on_ray
from folkmoot.runs.verdict_log import VerdictLog

__all__ = [
    "Budget",
    "CallCosts",
    "CallRecord",
    "Ledger",
    "LedgerTotals",
    "Price",
    "Progress",
    "RunFolder",
    "RunPlan",
    "RunSummary",
    "Spending",
    "VerdictLog",
    "atomic_file",
    "judge_on_ray",
    "judge_posts",
    "plan_run",
    "write_atomically",
]
