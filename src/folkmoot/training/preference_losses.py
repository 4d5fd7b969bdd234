"""Losses over preference pairs: SFT, DPO, ORPO, and ORPO weighted by the social correction value (SCPO).

Plain functions of log-likelihoods, in float32. Lower is better.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from folkmoot.students.branching import Likelihood

LARGEST_MEAN = -1e-6
"""Where a mean log-likelihood is clamped, so that its odds stay finite: a probability of 1 - 1e-6. Chosen; float32
cannot tell much finer from 1."""


def log1mexp(x: Tensor) -> Tensor:
    """log(1 - exp(x)) for x < 0, to full precision on both sides.

    Paper: Mächler 2012, "Accurately computing log(1 - exp(-|a|))", Eq. 7.
    """
    near = torch.log(-torch.expm1(torch.where(x > -math.log(2), x, -1.0)))
    far = torch.log1p(-torch.exp(torch.where(x > -math.log(2), -1.0, x)))
    return torch.where(x > -math.log(2), near, far)


def sft(chosen: Likelihood) -> Tensor:
    """The negative log-likelihood of the chosen responses, a mean over all their tokens. Scalar."""
    return -chosen.log_prob.float().sum() / chosen.tokens.sum()


def odds_ratio(chosen: Likelihood, rejected: Likelihood) -> Tensor:
    """-log sigma(log-odds of the chosen minus log-odds of the rejected response), [B].

    With l = the mean log-likelihood: log-odds = l - log(1 - exp(l)).

    Paper: Hong et al. 2024 (ORPO, arXiv 2403.07691), Eq. 7.
    """
    better, worse = chosen.mean().clamp(max=LARGEST_MEAN), rejected.mean().clamp(max=LARGEST_MEAN)
    return -logsigmoid((better - log1mexp(better)) - (worse - log1mexp(worse)))


def orpo(chosen: Likelihood, rejected: Likelihood, *, lam: float = 0.1, nll: Likelihood | None = None) -> Tensor:
    """The SFT loss plus lam times the mean odds-ratio loss. Scalar.

    Args:
        nll: what the SFT term is taken over; the chosen responses alone by default. The released ORPO code and TRL
            give the likelihood of prompt and response.

    Paper: Hong et al. 2024 (ORPO, arXiv 2403.07691), Eq. 6.
    Departs: the prompt is not learned unless `nll` says so.
    """
    return sft(nll or chosen) + lam * odds_ratio(chosen, rejected).mean()


def scpo(
    chosen: Likelihood,
    rejected: Likelihood,
    correction: Tensor,
    *,
    lam: float = 0.1,
    omega: float = 1.0,
    nll: Likelihood | None = None,
) -> Tensor:
    """L_SFT + lam * mean_i[(1 + omega * sc_i) * L_OR,i]. Scalar. With omega = 0 it is ORPO.

    Args:
        correction: sc(x), [B], in [0, 1]: how far the society went wrong on each post.
        nll: as in `orpo`.

    Paper: "Thinking as Society" (SCPO), ICLR 2026.
    Departs: nowhere; that the weight stands inside the mean follows from its being a post's own.
    """
    weights = 1 + omega * correction.float()
    return sft(nll or chosen) + lam * (weights * odds_ratio(chosen, rejected)).mean()


def dpo(
    chosen: Likelihood, rejected: Likelihood, chosen_before: Tensor, rejected_before: Tensor, *, beta: float = 0.1
) -> Tensor:
    """-mean_i log sigma(beta * (gain of the chosen - gain of the rejected)), a gain in summed log-likelihood. Scalar.

    Args:
        chosen_before, rejected_before: [B], the summed log-likelihoods under the reference: the model before training.

    Paper: Rafailov et al. 2023 (DPO, arXiv 2305.18290), Eq. 7.
    """
    gain = (chosen.log_prob.float() - chosen_before) - (rejected.log_prob.float() - rejected_before)
    return -logsigmoid(beta * gain).mean()
