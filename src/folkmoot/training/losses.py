"""Losses as plain functions of logits. Shapes: B posts in a batch; every loss returns a scalar to minimise."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self

import torch
from pydantic import Field, StrictBool, model_validator
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from folkmoot.records import Membership, Record

MEMBERSHIP_CODES: dict[Membership, int] = {membership: code for code, membership in enumerate(Membership)}
"""Memberships as integers, in their declared order, for the `membership` argument of `pnu`."""

Correction = Literal["clamp", "kiryo", "leak", "none"]


class ClassWeighting(StrEnum):
    """Where the class prior enters the supervised and soft terms."""

    PRIOR = "prior"
    """pi_p and pi_n before each class's mean, as Eqs. 1 and 4 have it."""
    POOLED = "pooled"
    """Gold and agreed posts of a class in one mean, each post alike, with the prior before it: a hundred gold labels
    do not outweigh thousands of agreed ones. Ours."""
    HALVES = "halves"
    """No prior; labelled and agreed means averaged with 1/2 each, as the reference code has it."""


class PnuSettings(Record):
    """Every switch of the PNU loss. The defaults are the paper's rule; `reference()` is the released code's.

    `gamma` (Sakai's eta) trades the supervised part against the PU part (gamma > 0) or the NU part (gamma < 0).
    `unlabelled` says which posts are U: the disagreed ones (the paper), or all pool posts, agreed ones included, which
    are what the prior is about: posts that a panel argues over are not a fair sample of the pool.
    """

    gamma: float = Field(default=0.1, ge=-1, le=1)
    prior: float = Field(default=0.5, gt=0, lt=1)
    correction: Correction = "clamp"
    leak: float = 0.01
    kiryo_beta: float = Field(default=0.0, ge=0)
    kiryo_step: float = Field(default=1.0, ge=0)
    weighting: ClassWeighting = ClassWeighting.PRIOR
    complement_agreed: StrictBool = True
    unlabelled: Literal["disagreed", "pool"] = "disagreed"
    nu_uses_complement_prior: StrictBool = True
    mean_over_present: StrictBool = True

    @model_validator(mode="before")
    @classmethod
    def _eta_is_gamma(cls, value: object) -> object:
        if isinstance(value, dict) and "eta" in value:
            if "gamma" in value:
                raise ValueError("give 'gamma' or its alias 'eta', not both")
            value = {**value, "gamma": value["eta"]}
            del value["eta"]
        return value

    @classmethod
    def reference(cls, *, gamma: float = 0.1, prior: float = 0.5) -> Self:
        """The settings of the released MA-VLM code: halves, a leak of 0.01, the positive prior in the NU part."""
        return cls(
            gamma=gamma,
            prior=prior,
            correction="leak",
            weighting=ClassWeighting.HALVES,
            nu_uses_complement_prior=False,
            mean_over_present=False,
        )


def weighted_mean(values: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
    """The mean of `values` [B] where `mask` [B] holds, each counted `weights` [B] times; 0 where nothing is left."""
    counted = weights * mask
    return (values * counted).sum() / counted.sum().clamp_min(torch.finfo(values.dtype).tiny)


def correct_negative_risk(risk: Tensor, positive_risk: Tensor, settings: PnuSettings) -> Tensor:
    """The PU objective from its two parts, with the chosen answer to a negative estimate of the second.

    - `clamp`: positive + max(0, risk), the validation risk of Sakai et al. and the paper's Eq. 2;
    - `kiryo`: where risk < -beta, step * (-risk) alone, so that the step undoes the over-fit;
    - `leak`: where risk < 0, positive - leak * risk, as the released code has it;
    - `none`: positive + risk, the unbiased estimate, which may fall below zero.
    """
    match settings.correction:
        case "clamp":
            return positive_risk + risk.clamp_min(0)
        case "kiryo":
            return torch.where(risk < -settings.kiryo_beta, -settings.kiryo_step * risk, positive_risk + risk)
        case "leak":
            return positive_risk + torch.where(risk < 0, -settings.leak * risk, risk)
        case "none":
            return positive_risk + risk


def pn(logits: Tensor, targets: Tensor, *, prior: float, weights: Tensor | None = None) -> Tensor:
    """The supervised risk: pi * mean over positives + (1 - pi) * mean over negatives of the cross-entropy.

    Args:
        logits: [B], of the positive class.
        targets: [B], 1 or 0.
        weights: [B], how much each post counts; all alike by default.

    Paper: Sakai et al. 2017, R_PN; MA-VLM 2026, Eq. 1.
    """
    weights = torch.ones_like(logits) if weights is None else weights
    loss = binary_cross_entropy_with_logits(logits, targets, reduction="none")
    is_positive = targets > 0.5
    return prior * weighted_mean(loss, is_positive, weights) + (1 - prior) * weighted_mean(loss, ~is_positive, weights)


def nnpu(logits: Tensor, is_positive: Tensor, *, prior: float, correction: Correction = "kiryo") -> Tensor:
    """The non-negative PU risk from positives and unlabelled posts.

    L = pi * R_p+ + corrected(R_u- - pi * R_p-), with R_p+ = mean_P l(f, 1), R_p- = mean_P l(f, 0),
    R_u- = mean_U l(f, 0), and l the cross-entropy.

    Args:
        logits: [B], of the positive class.
        is_positive: [B], true for a labelled positive, false for an unlabelled post.
        prior: pi, the share of positives among the unlabelled.

    Paper: Kiryo et al. 2017, Eq. 6 and Algorithm 1 (`kiryo`); MA-VLM 2026, Eq. 2 (`clamp`).
    """
    code = torch.where(is_positive, MEMBERSHIP_CODES[Membership.POSITIVE], MEMBERSHIP_CODES[Membership.DISAGREED])
    settings = PnuSettings(gamma=1.0, prior=prior, correction=correction)
    return pnu(logits, code, is_positive.to(logits.dtype), settings=settings)


def pnu(
    logits: Tensor, membership: Tensor, targets: Tensor, *, settings: PnuSettings, weights: Tensor | None = None
) -> Tensor:
    """The PNU self-training loss over gold, agreed and disagreed posts.

    gamma >= 0: L = (1 - gamma) (L_pn + L_soft) + gamma L_pu; gamma < 0: L = (1 + gamma) (L_pn + L_soft) - gamma L_nu.
    L_pn and L_soft are prior-weighted cross-entropies against gold labels and against the soft targets of the agreed
    sets; L_pu treats gold and agreed positives as P and the disagreed posts as U; L_nu mirrors it with 1 - pi.

    Args:
        logits: [B], of the positive class.
        membership: [B], integers of `MEMBERSHIP_CODES`.
        targets: [B], the probability of the positive class to learn: 1 or 0 for gold, soft for agreed posts (the paper:
            .67 and .33); ignored for disagreed ones.
        weights: [B], how much each post counts within its set; all alike by default.

    A set with no member in the batch adds nothing; where every set is empty the loss is 0 with a zero gradient.

    Paper: MA-VLM 2026, Eqs. 1-5; Sakai et al. 2017; Kiryo et al. 2017.
    Departs: in R_p- an agreed positive is compared with 1 - target (.33), as the released code does, because a post
        that is 67% positive is 33% negative; `complement_agreed=False` compares with 0.
    """
    weights = torch.ones_like(logits) if weights is None else weights
    is_p, is_n, is_ap, is_an, is_d = (membership == MEMBERSHIP_CODES[m] for m in Membership)
    targets = torch.where(is_d, torch.zeros_like(targets), targets)
    toward = binary_cross_entropy_with_logits(logits, targets, reduction="none")  # [B], against each post's own target
    opposite = torch.where(is_p | is_n, 1 - targets, (1 - targets) if settings.complement_agreed else is_an.to(targets))
    against = binary_cross_entropy_with_logits(logits, opposite, reduction="none")  # [B], against the other class

    def class_mean(loss: Tensor, gold: Tensor, agreed: Tensor) -> Tensor:
        """One class's mean: over the union, or (reference) half of each set's own mean."""
        if settings.weighting is not ClassWeighting.HALVES:
            return weighted_mean(loss, gold | agreed, weights)
        parts = weighted_mean(loss, gold, weights) + weighted_mean(loss, agreed, weights)
        present = 2 if not settings.mean_over_present else max(1, int(gold.any()) + int(agreed.any()))
        return parts / present

    if settings.weighting is ClassWeighting.PRIOR:
        supervised = settings.prior * (weighted_mean(toward, is_p, weights) + weighted_mean(toward, is_ap, weights)) + (
            1 - settings.prior
        ) * (weighted_mean(toward, is_n, weights) + weighted_mean(toward, is_an, weights))
    elif settings.weighting is ClassWeighting.POOLED:
        supervised = settings.prior * class_mean(toward, is_p, is_ap) + (1 - settings.prior) * class_mean(
            toward, is_n, is_an
        )
    else:
        supervised = class_mean(toward, is_p, is_ap) + class_mean(toward, is_n, is_an)
    if settings.gamma == 0:
        return supervised

    if settings.gamma > 0:
        gold, agreed, prior, unlabelled_target = is_p, is_ap, settings.prior, torch.zeros_like(logits)
    else:
        prior = 1 - settings.prior if settings.nu_uses_complement_prior else settings.prior
        gold, agreed, unlabelled_target = is_n, is_an, torch.ones_like(logits)
    unlabelled = binary_cross_entropy_with_logits(logits, unlabelled_target, reduction="none")
    own_risk = prior * class_mean(toward, gold, agreed)
    is_u = is_d if settings.unlabelled == "disagreed" else is_d | is_ap | is_an
    if bool(is_u.any()) or not settings.mean_over_present:
        other_risk = weighted_mean(unlabelled, is_u, weights) - prior * class_mean(against, gold, agreed)
        semi_supervised = correct_negative_risk(other_risk, own_risk, settings)
    else:
        semi_supervised = own_risk
    share = abs(settings.gamma)
    return (1 - share) * supervised + share * semi_supervised
