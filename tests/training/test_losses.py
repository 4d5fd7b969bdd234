"""The PNU loss: hand arithmetic, a slow twin, the losses it collapses to, and its extremes."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from folkmoot.records import Membership
from folkmoot.training.losses import MEMBERSHIP_CODES, PnuSettings, nnpu, pn, pnu

P, N, AP, AN, D = (MEMBERSHIP_CODES[m] for m in Membership)


def cross_entropy(logit: float, target: float) -> float:
    p = 1 / (1 + math.exp(-logit))
    return -(target * math.log(p) + (1 - target) * math.log(1 - p))


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def slow_pnu(logits: list[float], codes: list[int], targets: list[float], s: PnuSettings) -> float:
    """The loss as loops over posts, written from the formulas alone."""
    of = {code: [(z, t) for z, c, t in zip(logits, codes, targets, strict=True) if c == code] for code in range(5)}

    def toward(code: int) -> list[float]:
        return [cross_entropy(z, t) for z, t in of[code]]

    def against(code: int) -> list[float]:
        if code in (P, N) or s.complement_agreed:
            return [cross_entropy(z, 1 - t) for z, t in of[code]]
        return [cross_entropy(z, 0.0 if code == AP else 1.0) for z, _ in of[code]]

    def class_mean(one: list[float], two: list[float]) -> float:
        if s.weighting != "halves":
            return mean(one + two)
        present = 2 if not s.mean_over_present else max(1, bool(one) + bool(two))
        return (mean(one) + mean(two)) / present

    pi = s.prior
    if s.weighting == "prior":
        supervised = pi * (mean(toward(P)) + mean(toward(AP))) + (1 - pi) * (mean(toward(N)) + mean(toward(AN)))
    elif s.weighting == "pooled":
        supervised = pi * mean(toward(P) + toward(AP)) + (1 - pi) * mean(toward(N) + toward(AN))
    else:
        supervised = class_mean(toward(P), toward(AP)) + class_mean(toward(N), toward(AN))
    if s.gamma == 0:
        return supervised
    if s.gamma > 0:
        gold, agreed, prior, side = P, AP, pi, 0.0
    else:
        gold, agreed, prior, side = N, AN, (1 - pi if s.nu_uses_complement_prior else pi), 1.0
    pool = of[D] if s.unlabelled == "disagreed" else of[D] + of[AP] + of[AN]
    own = prior * class_mean(toward(gold), toward(agreed))
    other = mean([cross_entropy(z, side) for z, _ in pool]) - prior * class_mean(against(gold), against(agreed))
    if not pool and s.mean_over_present:
        semi = own
    elif s.correction == "clamp":
        semi = own + max(0.0, other)
    elif s.correction == "kiryo":
        semi = -s.kiryo_step * other if other < -s.kiryo_beta else own + other
    elif s.correction == "leak":
        semi = own + (-s.leak * other if other < 0 else other)
    else:
        semi = own + other
    return (1 - abs(s.gamma)) * supervised + abs(s.gamma) * semi


def target_of(code: int) -> float:
    return {P: 1.0, N: 0.0, AP: 0.67, AN: 0.33, D: 0.0}[code]


posts = st.lists(st.tuples(st.floats(-8, 8), st.sampled_from([P, N, AP, AN, D])), min_size=1, max_size=24)
switches = st.builds(
    PnuSettings,
    gamma=st.sampled_from([-1.0, -0.5, -0.1, 0.0, 0.1, 0.5, 1.0]),
    prior=st.sampled_from([0.2, 0.5, 0.7]),
    correction=st.sampled_from(["clamp", "kiryo", "leak", "none"]),
    weighting=st.sampled_from(["prior", "pooled", "halves"]),
    complement_agreed=st.booleans(),
    unlabelled=st.sampled_from(["disagreed", "pool"]),
    nu_uses_complement_prior=st.booleans(),
    mean_over_present=st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(posts, switches)
def test_every_switch_gives_what_the_formulas_give_post_by_post(batch: list[tuple[float, int]], s: PnuSettings) -> None:
    logits, codes = [z for z, _ in batch], [c for _, c in batch]
    targets = [target_of(code) for code in codes]
    fast = pnu(
        torch.tensor(logits, dtype=torch.float64),
        torch.tensor(codes),
        torch.tensor(targets, dtype=torch.float64),
        settings=s,
    )
    assert float(fast) == pytest.approx(slow_pnu(logits, codes, targets, s), abs=1e-9)


def test_one_post_of_each_set_by_hand() -> None:
    # Every logit is 0, so each cross-entropy is ln 2 whatever its target. pi = 1/2, gamma = 0.1:
    # L_pn + L_soft = 2 (1/2 ln 2 + 1/2 ln 2) = 2 ln 2; R_p+ = ln 2, R_u- - pi R_p- = 1/2 ln 2, L_pu = ln 2;
    # L = 0.9 * 2 ln 2 + 0.1 * ln 2 = 1.9 ln 2.
    codes = torch.tensor([P, N, AP, AN, D])
    loss = pnu(torch.zeros(5), codes, torch.tensor([1, 0, 0.67, 0.33, 0]), settings=PnuSettings(gamma=0.1))
    assert float(loss) == pytest.approx(1.9 * math.log(2), abs=1e-6)


def test_the_reference_leaks_a_hundredth_of_a_negative_risk() -> None:
    # One positive at logit 0 and one disagreed post at -20: R_u- is 0, R_p- = ln 2 / 2 (a half for the absent agreed
    # set), so the risk is -ln 2 / 4 and enters as +0.01 ln 2 / 4. Own risk: 1/2 * ln 2 / 2. Supervised: ln 2 / 2.
    loss = pnu(
        torch.tensor([0.0, -20.0]),
        torch.tensor([P, D]),
        torch.tensor([1.0, 0.0]),
        settings=PnuSettings.reference(gamma=0.5),
    )
    by_hand = 0.5 * math.log(2) / 2 + 0.5 * (math.log(2) / 4 + 0.01 * math.log(2) / 4)
    assert float(loss) == pytest.approx(by_hand, abs=1e-6)


def test_gamma_zero_without_agreed_posts_is_the_supervised_risk() -> None:
    logits = torch.randn(20, generator=torch.Generator().manual_seed(0))
    targets = (torch.arange(20) % 3 == 0).float()
    codes = torch.where(targets > 0.5, P, N)
    settings_ = PnuSettings(gamma=0, prior=0.3)
    assert float(pnu(logits, codes, targets, settings=settings_)) == pytest.approx(
        float(pn(logits, targets, prior=0.3))
    )


def test_the_balanced_supervised_risk_is_plain_cross_entropy() -> None:
    logits = torch.randn(10, generator=torch.Generator().manual_seed(1))
    targets = torch.tensor([1.0, 0.0] * 5)
    plain = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
    assert float(pn(logits, targets, prior=0.5)) == pytest.approx(float(plain), abs=1e-6)


def test_gamma_one_is_the_non_negative_pu_risk() -> None:
    logits = torch.tensor([2.0, 1.0, -1.0, 0.5])
    is_positive = torch.tensor([True, True, False, False])
    own = 0.4 * mean([cross_entropy(2, 1), cross_entropy(1, 1)])
    other = mean([cross_entropy(-1, 0), cross_entropy(0.5, 0)]) - 0.4 * mean([cross_entropy(2, 0), cross_entropy(1, 0)])
    expected = own + max(0.0, other)
    assert float(nnpu(logits, is_positive, prior=0.4, correction="clamp")) == pytest.approx(expected, abs=1e-6)


def test_kiryo_climbs_out_of_a_negative_risk() -> None:
    # Unlabelled posts far on the negative side, positives far on the positive one: the risk is below zero.
    logits = torch.tensor([6.0, -9.0], requires_grad=True)
    loss = nnpu(logits, torch.tensor([True, False]), prior=0.5)
    loss.backward()
    other = cross_entropy(-9, 0) - 0.5 * cross_entropy(6, 0)
    assert float(loss.detach()) == pytest.approx(-other, abs=1e-5)
    assert logits.grad is not None
    assert logits.grad[0] > 0  # a step down lowers the over-confident positive
    assert logits.grad[1] < 0  # and raises the unlabelled post


def test_nu_mirrors_pu() -> None:
    logits = torch.randn(12, generator=torch.Generator().manual_seed(3))
    codes = torch.tensor([P, N, AP, AN, D, D] * 2)
    targets = torch.tensor([target_of(int(code)) for code in codes])
    mirror = torch.tensor([{P: N, N: P, AP: AN, AN: AP, D: D}[int(code)] for code in codes])
    one = pnu(logits, codes, targets, settings=PnuSettings(gamma=0.3, prior=0.7))
    other = pnu(-logits, mirror, 1 - targets, settings=PnuSettings(gamma=-0.3, prior=0.3))
    assert float(one) == pytest.approx(float(other), abs=1e-6)


def test_a_weight_of_zero_is_the_absence_of_the_post() -> None:
    codes, targets = torch.tensor([P, N, AP, D]), torch.tensor([1.0, 0.0, 0.67, 0.0])
    logits = torch.tensor([0.3, -0.2, 1.0, 0.1])
    weights = torch.tensor([1.0, 1.0, 0.0, 1.0])
    with_it = pnu(logits, codes, targets, settings=PnuSettings(), weights=weights)
    keep = torch.tensor([0, 1, 3])
    without = pnu(logits[keep], codes[keep], targets[keep], settings=PnuSettings())
    assert float(with_it) == pytest.approx(float(without), abs=1e-6)


@pytest.mark.parametrize("correction", ["clamp", "kiryo", "leak", "none"])
@pytest.mark.parametrize("gamma", [-1.0, -0.1, 0.0, 0.1, 1.0])
def test_gradients_are_finite_at_the_extremes(correction: str, gamma: float) -> None:
    logits = torch.tensor([1e4, -1e4, 1e4, -1e4, 1e4], requires_grad=True)
    codes, targets = torch.tensor([N, P, AN, AP, D]), torch.tensor([0.0, 1.0, 0.33, 0.67, 0.0])
    settings_ = PnuSettings.model_validate({"gamma": gamma, "correction": correction})
    pnu(logits, codes, targets, settings=settings_).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_a_batch_of_disagreed_posts_alone_has_no_gradient_without_an_unlabelled_part() -> None:
    logits = torch.zeros(3, requires_grad=True)
    loss = pnu(logits, torch.full((3,), D), torch.zeros(3), settings=PnuSettings(gamma=0.0))
    loss.backward()
    assert float(loss.detach()) == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_eta_is_another_name_of_gamma() -> None:
    assert PnuSettings.model_validate({"eta": 0.2}).gamma == 0.2
    with pytest.raises(ValueError, match="not both"):
        PnuSettings.model_validate({"eta": 0.2, "gamma": 0.1})
