"""One agent, asked once: the plain prompt that every other panel is compared with.

Paper: the "Zero-Shot" rows of "Multi-Agent VLMs Guided Self-Training with PNU Loss" (AAAI 2026, arXiv 2511.13759),
Table 4.
"""

from __future__ import annotations

from folkmoot.panels.alone import Alone


class Direct(Alone):
    """A judge that asks for the label, the confidence in it and a reason, in this order."""

    panel = "direct"
