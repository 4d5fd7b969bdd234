"""SFT, ORPO, SCPO and DPO against hand arithmetic, a slow loop twin, and one another."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from folkmoot.students.branching import Likelihood
from folkmoot.training.preference_losses import dpo, log1mexp, odds_ratio, orpo, scpo, sft

LOG = st.floats(-40, -1e-3)
PAIRS = st.lists(st.tuples(LOG, st.integers(1, 9), LOG, st.integers(1, 9), st.floats(0, 1)), min_size=1, max_size=6)


def likely(values: list[float], tokens: list[int]) -> Likelihood:
    return Likelihood(torch.tensor(values), torch.tensor(tokens))


def test_by_hand_with_probabilities_of_a_half_and_a_quarter() -> None:
    # P_w = 1/2: odds 1; P_l = 1/4: odds 1/3; gap ln 3, sigma(ln 3) = 3/4.
    chosen, rejected = likely([2 * math.log(0.5)], [2]), likely([3 * math.log(0.25)], [3])
    assert odds_ratio(chosen, rejected).item() == pytest.approx(-math.log(0.75))
    assert sft(chosen).item() == pytest.approx(math.log(2))
    assert orpo(chosen, rejected, lam=0.5).item() == pytest.approx(math.log(2) - 0.5 * math.log(0.75))
    heavy = scpo(chosen, rejected, torch.tensor([0.5]), lam=0.5, omega=2.0)
    assert heavy.item() == pytest.approx(math.log(2) - 0.5 * 2 * math.log(0.75))


def test_the_sft_term_is_a_mean_over_tokens_not_over_responses() -> None:
    assert sft(likely([-1.0, -9.0], [1, 9])).item() == pytest.approx(1.0)
    assert sft(likely([-1.0, -18.0], [1, 9])).item() == pytest.approx(1.9)


@given(PAIRS, st.floats(0, 2), st.floats(0, 3))
@settings(max_examples=60, deadline=None)
def test_scpo_equals_a_loop_over_pairs_in_double_precision(pairs: list[tuple], lam: float, omega: float) -> None:
    a, n, b, m, sc = (list(column) for column in zip(*pairs, strict=True))
    total = 0.0
    for log_w, tokens_w, log_l, tokens_l, weight in pairs:
        mean_w, mean_l = min(log_w / tokens_w, -1e-6), min(log_l / tokens_l, -1e-6)
        gap = (mean_w - math.log(-math.expm1(mean_w))) - (mean_l - math.log(-math.expm1(mean_l)))
        total += (1 + omega * weight) * (math.log1p(math.exp(-gap)) if gap > 0 else -gap + math.log1p(math.exp(gap)))
    expected = -sum(a) / sum(n) + lam * total / len(pairs)
    loss = scpo(likely(a, n), likely(b, m), torch.tensor(sc), lam=lam, omega=omega)
    assert loss.item() == pytest.approx(expected, rel=2e-4, abs=2e-4)


@given(PAIRS)
@settings(max_examples=30, deadline=None)
def test_scpo_collapses_to_orpo_where_omega_is_zero_and_orpo_to_sft_where_lambda_is(pairs: list[tuple]) -> None:
    a, n, b, m, sc = (list(column) for column in zip(*pairs, strict=True))
    chosen, rejected = likely(a, n), likely(b, m)
    assert abs(scpo(chosen, rejected, torch.tensor(sc), omega=0.0) - orpo(chosen, rejected)) < 1e-6
    assert abs(orpo(chosen, rejected, lam=0.0) - sft(chosen)) < 1e-6


def test_the_weight_stands_inside_the_mean() -> None:
    chosen, rejected = likely([-1.0, -1.0], [1, 1]), likely([-1.0, -5.0], [1, 1])
    one_way = scpo(chosen, rejected, torch.tensor([1.0, 0.0]))
    other_way = scpo(chosen, rejected, torch.tensor([0.0, 1.0]))
    assert one_way > other_way, "the first pair is the worse one, so its weight costs more"


def test_log1mexp_is_right_on_both_sides_of_its_seam() -> None:
    for x in (-1e-6, -1e-3, -0.69, -0.7, -5.0, -50.0):
        assert log1mexp(torch.tensor(x, dtype=torch.float64)).item() == pytest.approx(
            math.log(-math.expm1(x)), rel=1e-9
        )


@pytest.mark.parametrize("extreme", [0.0, -1e-9, -1e4])
def test_losses_and_gradients_are_finite_where_a_response_is_certain_or_impossible(extreme: float) -> None:
    for first, second in ((extreme, -1.0), (-1.0, extreme), (extreme, extreme)):
        chosen, rejected = torch.tensor([first], requires_grad=True), torch.tensor([second], requires_grad=True)
        loss = scpo(Likelihood(chosen, torch.tensor([1])), Likelihood(rejected, torch.tensor([1])), torch.tensor([1.0]))
        loss.backward()
        for value in (loss, chosen.grad, rejected.grad):
            assert isinstance(value, Tensor)
            assert torch.isfinite(value).all()


def test_a_response_without_tokens_is_an_error() -> None:
    with pytest.raises(ValueError, match="leave it out"):
        odds_ratio(likely([0.0], [0]), likely([-1.0], [1]))


def test_dpo_by_hand_and_at_its_start() -> None:
    chosen, rejected = likely([-2.0], [2]), likely([-3.0], [2])
    start = dpo(chosen, rejected, chosen.log_prob, rejected.log_prob, beta=0.1)
    assert start.item() == pytest.approx(math.log(2)), "before training nothing is gained"
    later = dpo(chosen, rejected, torch.tensor([-4.0]), torch.tensor([-2.0]), beta=0.5)  # gains of 2 and -1
    assert later.item() == pytest.approx(math.log1p(math.exp(-1.5)))


def test_orpo_equals_the_released_formula_with_the_prompt_in_its_nll() -> None:
    """xfactlab/orpo and TRL: mean log-probabilities of the responses, cross-entropy over prompt and response."""
    torch.manual_seed(0)
    logits, ids = torch.randn(2, 2, 7, 11), torch.randint(0, 11, (2, 2, 7))  # chosen and rejected rows of two pairs
    prompt = 3
    log_probs = logits[:, :, :-1].log_softmax(-1).gather(-1, ids[:, :, 1:, None])[..., 0]
    mean = log_probs[:, :, prompt - 1 :].mean(-1)
    gap = (mean[0] - mean[1]) - (torch.log1p(-torch.exp(mean[0])) - torch.log1p(-torch.exp(mean[1])))
    nll = torch.nn.functional.cross_entropy(logits[0, :, :-1].flatten(0, 1), ids[0, :, 1:].flatten())
    expected = nll - 0.1 * torch.nn.functional.logsigmoid(gap).mean()
    chosen, rejected = (
        Likelihood(log_probs[side, :, prompt - 1 :].sum(-1), torch.tensor([7 - prompt] * 2)) for side in (0, 1)
    )
    everything = Likelihood(log_probs[0].sum(-1), torch.tensor([6, 6]))
    assert orpo(chosen, rejected, lam=0.1, nll=everything).item() == pytest.approx(expected.item(), abs=1e-6)
