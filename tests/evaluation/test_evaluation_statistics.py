import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from folkmoot.evaluation import (
    agreement_by_round,
    calibration_error,
    compare,
    compare_judges,
    evaluate,
    krippendorff_alpha,
    krippendorff_interval,
    mcnemar,
    rank_contested,
    reliability_bins,
    risk_coverage,
    score_agents,
)
from folkmoot.evaluation.calibration import wilson_interval
from folkmoot.evaluation.contested import label_entropy
from folkmoot.records import BadInput, Opinion, Outcome, Post, Verdict


def opinion(agent: str, label: str | None, round_: int = 0) -> Opinion:
    outcome = Outcome.LABELLED if label else Outcome.REFUSED
    return Opinion(agent=agent, round=round_, label=label, outcome=outcome)


def verdict(id_: str, label: str, probability: float | None = None, *, judge: str = "a:v1") -> Verdict:
    return Verdict(id=id_, outcome=Outcome.LABELLED, label=label, probability=probability, task="t", judge=judge)


def test_alpha_equals_the_worked_example_of_its_author() -> None:
    # Krippendorff 2011, example C: four observers, twelve units, missing values.
    rows = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
    units = [[None if row[u] == "." else row[u] for row in rows] for u in range(12)]
    # The coincidences' diagonal is 7, 10, 8, 4, 3; the labels' totals are 9, 13, 10, 5, 3, of n = 40; so
    # alpha = ((40-1)(7+10+8+4+3) - (9*8 + 13*12 + 10*9 + 5*4 + 3*2)) / (40*39 - (9*8 + 13*12 + 10*9 + 5*4 + 3*2))
    #       = (1248 - 344) / (1560 - 344) = 904 / 1216 = 0.743
    assert krippendorff_alpha(units) == pytest.approx(904 / 1216)


def test_alpha_of_two_observers_by_hand() -> None:
    # Units: yy yy yn nn. Coincidences: yy 4, nn 2, yn 1, ny 1; n = 8, n_y = 5, n_n = 3.
    # D_o = 2/8; D_e = 1 - (5*4 + 3*2)/(8*7) = 30/56; alpha = 1 - (1/4)(56/30) = 16/30.
    assert krippendorff_alpha(["yy", "yy", "yn", "nn"]) == pytest.approx(16 / 30)


def test_alpha_is_one_for_perfect_agreement_and_undefined_without_variation_or_pairs() -> None:
    assert krippendorff_alpha(["aa", "bb"]) == pytest.approx(1.0)
    assert krippendorff_alpha(["aa", "aa"]) is None
    assert krippendorff_alpha([["a", None], [None, "b"]]) is None
    assert krippendorff_alpha([]) is None
    assert krippendorff_interval(["aa", "aa"]) is None


def test_a_unit_with_one_label_changes_nothing() -> None:
    assert krippendorff_alpha(["yy", "yn", "nn", ["y", None]]) == krippendorff_alpha(["yy", "yn", "nn"])


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=3, max_size=3), max_size=20))
@settings(max_examples=80, deadline=None)
def test_alpha_equals_the_count_over_all_pairs(units) -> None:
    pairable = [[v for v in unit if v] for unit in units if sum(v is not None for v in unit) > 1]
    values = [v for unit in pairable for v in unit]
    differing = sum(a != b for a in values for b in values)
    if not differing:
        assert krippendorff_alpha(units) is None
        return
    n = len(values)
    observed = sum(sum(a != b for a in unit for b in unit) / (len(unit) - 1) for unit in pairable) / n
    assert krippendorff_alpha(units) == pytest.approx(1 - observed / (differing / (n * (n - 1))))


def test_the_interval_of_alpha_holds_alpha_and_shrinks_with_more_units() -> None:
    units = ["yy", "yy", "yn", "nn"] * 20
    low, high = krippendorff_interval(units)
    wide_low, wide_high = krippendorff_interval(units[:20])
    assert low < krippendorff_alpha(units) < high
    assert high - low < wide_high - wide_low


def test_agreement_is_told_by_round_and_for_last_words() -> None:
    opinions = {
        "p": [opinion("user", "y"), opinion("moderator", "n"), opinion("user", "n", 1), opinion("moderator", "n", 1)],
        "q": [opinion("user", "y"), opinion("moderator", "y")],
        "r": [opinion("user", None), opinion("moderator", "y")],
    }
    first, second, last = agreement_by_round(opinions)
    assert (first.round, first.posts, first.comparable, first.unanimous) == (0, 3, 2, 1)
    assert (second.round, second.comparable, second.unanimous) == (1, 1, 1)
    assert (last.round, last.comparable, last.unanimous, last.alpha) == (None, 2, 2, 1.0)


def test_agents_are_scored_on_posts_with_gold_and_a_refusal_is_not_right() -> None:
    opinions = {"p": [opinion("user", "y")], "q": [opinion("user", None)], "pool": [opinion("user", "y")]}
    (score,) = score_agents(opinions, [Post(id="p", label="y"), Post(id="q", label="y"), Post(id="pool")])
    assert (score.n, score.labelled, score.correct) == (2, 1, 1)


def test_contested_posts_come_in_order_of_how_much_is_still_in_dispute() -> None:
    opinions = {
        "settled": [opinion("a", "y"), opinion("b", "n"), opinion("b", "y", 1)],
        "open": [opinion("a", "y"), opinion("b", "n")],
        "alike": [opinion("a", "y"), opinion("b", "y")],
    }
    verdicts = [verdict("close", "y", 0.51), verdict("clear", "y", 0.99)]
    ranked = rank_contested(verdicts, opinions)
    assert [post.id for post in ranked] == ["open", "settled", "close", "clear"]
    assert ranked[0].final_entropy_bits == 1.0
    assert ranked[2].margin == pytest.approx(0.02)
    assert len(rank_contested(verdicts, opinions, limit=1)) == 1


def test_entropy_is_in_bits() -> None:
    assert label_entropy([]) == label_entropy("yy") == 0.0
    assert label_entropy("yn") == 1.0
    assert label_entropy("abcd") == 2.0


def test_mcnemar_is_exact_for_few_and_mid_p_for_many_discordant_posts() -> None:
    # b = 1, c = 5: p = 2 (C(6,0) + C(6,1)) / 2^6 = 14/64.
    small = mcnemar(1, 5)
    assert (small.method, small.p) == ("exact", pytest.approx(14 / 64))
    many = mcnemar(10, 20)
    tail = sum(math.comb(30, k) for k in range(10)) / 2**30
    assert many.method == "mid_p"
    assert many.p == pytest.approx(2 * (tail + math.comb(30, 10) / 2**30 / 2))


def test_mcnemar_of_equal_or_no_discordant_posts_sees_no_difference() -> None:
    assert mcnemar(0, 0).p == 1.0
    assert mcnemar(7, 7).p == 1.0
    assert mcnemar(40, 40).p == pytest.approx(1.0)
    assert mcnemar(3, 9).p == mcnemar(9, 3).p
    with pytest.raises(BadInput, match="at least 0"):
        mcnemar(-1, 2)


def test_mcnemar_equals_scipys_binomial_test() -> None:
    stats = pytest.importorskip("scipy.stats")
    for b, c in [(0, 5), (3, 9), (11, 13)]:
        assert mcnemar(b, c).p == pytest.approx(stats.binomtest(b, b + c).pvalue)


def gold_posts(n: int) -> list[Post]:
    return [Post(id=str(number), label="y" if number % 2 else "n") for number in range(n)]


def said(gold: list[Post], *, wrong_every: int, judge: str) -> list[Verdict]:
    flip = {"y": "n", "n": "y"}
    return [
        verdict(p.id, flip[p.label] if int(p.id) % wrong_every == 0 else p.label, judge=judge) for p in gold
    ]  # fmt: skip


def test_a_clearly_better_judge_is_found_better_and_the_other_way_round() -> None:
    gold = gold_posts(400)
    good, bad = said(gold, wrong_every=20, judge="good:v1"), said(gold, wrong_every=4, judge="bad:v1")
    comparison = compare(good, bad, gold)
    assert (comparison.first, comparison.second) == ("good:v1", "bad:v1")
    assert comparison.accuracy.value == pytest.approx(0.2)
    assert comparison.macro_f1.is_clear
    assert comparison.macro_f1.p < 0.01
    assert comparison.mcnemar.first_only == 80
    reverse = compare(bad, good, gold)
    assert reverse.accuracy.interval95[1] < 0
    assert reverse.mcnemar.second_only == 80


def test_a_judge_beside_itself_shows_no_difference() -> None:
    gold = gold_posts(50)
    comparison = compare(said(gold, wrong_every=5, judge="a"), said(gold, wrong_every=5, judge="a"), gold)
    assert comparison.accuracy.interval95 == (0.0, 0.0)
    assert comparison.accuracy.p == comparison.mcnemar.p == 1.0
    assert not comparison.macro_f1.is_clear


def test_pairing_makes_the_interval_of_a_difference_narrower_than_two_separate_ones() -> None:
    gold = gold_posts(400)
    a, b = said(gold, wrong_every=5, judge="a"), said(gold, wrong_every=10, judge="b")
    low, high = compare(a, b, gold).accuracy.interval95
    width = [np.subtract(*evaluate(v, gold).interval95["accuracy"][::-1]) for v in (a, b)]
    assert high - low < np.hypot(*width)


def test_a_missing_verdict_counts_against_a_judge() -> None:
    gold = gold_posts(40)
    full = said(gold, wrong_every=100, judge="a")
    assert compare(full, full[:20], gold).accuracy.value == pytest.approx(0.5)


def test_judges_side_by_side_share_their_metrics_with_evaluate() -> None:
    gold = gold_posts(60)
    judges = {name: said(gold, wrong_every=k, judge=name) for name, k in [("a", 3), ("b", 5), ("c", 7)]}
    side = compare_judges(judges, gold, reference="b")
    assert [(c.first, c.second) for c in side.comparisons] == [("a", "b"), ("c", "b")]
    assert side.judges["c"] == evaluate(judges["c"], gold)
    with pytest.raises(BadInput, match="'z'"):
        compare_judges(judges, gold, reference="z")
    with pytest.raises(BadInput, match="at least one"):
        compare_judges({}, gold)


def test_calibration_error_by_hand() -> None:
    # Two bins: (0.6, 0.6) right once of two: |0.5 - 0.6|; (0.95, 0.95) right twice: |1 - 0.95|.
    confidence, right = np.array([0.6, 0.6, 0.95, 0.95]), np.array([True, False, True, True])
    for binning in ("equal_width", "equal_mass"):
        bins = reliability_bins(confidence, right, bins=2 if binning == "equal_mass" else 10, binning=binning)
        assert [bin_.n for bin_ in bins] == [2, 2]
        assert calibration_error(bins) == pytest.approx((0.1 + 0.05) / 2)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=80), st.integers(1, 20))
@settings(max_examples=80, deadline=None)
def test_every_post_is_in_one_bin_and_inside_its_bounds(pairs, number) -> None:
    confidence, right = np.array([c for c, _ in pairs]), np.array([r for _, r in pairs])
    for binning in ("equal_width", "equal_mass"):
        bins = reliability_bins(confidence, right, bins=number, binning=binning)
        assert sum(bin_.n for bin_ in bins) == len(pairs)
        assert len(bins) <= number
        assert all(bin_.low - 1e-9 <= bin_.confidence <= bin_.high + 1e-9 for bin_ in bins)
        assert 0 <= calibration_error(bins) <= 1


def test_equal_mass_bins_keep_equal_confidences_together() -> None:
    bins = reliability_bins(np.full(30, 0.8), np.arange(30) % 2 == 0, bins=5, binning="equal_mass")
    assert [bin_.n for bin_ in bins] == [30]


def test_a_confidence_outside_the_unit_interval_is_refused() -> None:
    with pytest.raises(BadInput, match="between 0 and 1"):
        reliability_bins(np.array([1.2]), np.array([True]))
    assert reliability_bins(np.array([]), np.array([], dtype=bool)) == ()
    assert calibration_error(()) is None


def test_wilsons_interval_of_a_published_case() -> None:
    # Newcombe 1998, table I, method 3: 81 of 263 and 0 of 20.
    assert wilson_interval(81, 263) == (pytest.approx(0.2553, abs=1e-4), pytest.approx(0.3662, abs=1e-4))
    assert wilson_interval(0, 20) == (0.0, pytest.approx(0.1611, abs=1e-4))


def test_the_risk_coverage_curve_by_hand() -> None:
    # Surest first: right, right, then two of one confidence of which one is wrong; five posts in all.
    curve = risk_coverage(np.array([0.9, 0.8, 0.6, 0.6]), np.array([True, True, False, True]), n=5)
    assert [point.coverage for point in curve.points] == pytest.approx([0.2, 0.4, 0.8])
    assert [point.risk for point in curve.points] == pytest.approx([0, 0, 0.25])
    assert curve.aurc == pytest.approx((0 + 0 + 0.25 + 0.25) / 4)
    assert curve.at(0.5).threshold == 0.6
    assert curve.at(0.9) is None
    assert risk_coverage(np.array([]), np.array([], dtype=bool), n=5).points == ()
