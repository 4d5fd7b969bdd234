"""Charts as inline SVG, coloured by the page's own style sheet, so that one drawing serves light, dark and print."""

from folkmoot.evaluation.charts.batch_composition import draw_batch_composition
from folkmoot.evaluation.charts.interval_bar import draw_interval_bar
from folkmoot.evaluation.charts.learning_curve import draw_learning_curve
from folkmoot.evaluation.charts.pseudo_label_quality import draw_pseudo_label_quality
from folkmoot.evaluation.charts.reliability import draw_reliability
from folkmoot.evaluation.charts.risk_coverage import draw_risk_coverage

__all__ = [
    "draw_batch_composition",
    "draw_interval_bar",
    "draw_learning_curve",
    "draw_pseudo_label_quality",
    "draw_reliability",
    "draw_risk_coverage",
]
