"""The rule by itself: what each combination of opinions becomes."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folkmoot.panels.agreement import WORST_FIRST, decide, final_opinions
from folkmoot.records import CLASSIFIER, Opinion, Outcome


def opinion(agent: str, label: str | None, round: int = 0, outcome: Outcome = Outcome.REFUSED) -> Opinion:
    return Opinion(agent=agent, round=round, label=label, outcome=Outcome.LABELLED if label else outcome)


def after_a_second_round(moderator: str | None, user: str | None) -> list[Opinion]:
    first = [opinion("moderator", "rude"), opinion("user", "kind")]
    return [*first, opinion("moderator", moderator, 1), opinion("user", user, 1)]


AGREED = [opinion("moderator", "rude"), opinion("user", "rude")]


@pytest.mark.parametrize(
    ("opinions", "classifier", "paper", "reference"),
    [
        (AGREED, None, "rude", "rude"),
        (AGREED, "rude", "rude", "rude"),
        (AGREED, "kind", None, "rude"),
        (after_a_second_round("kind", "kind"), "kind", "kind", "kind"),
        (after_a_second_round("kind", "kind"), "rude", None, None),
        (after_a_second_round("kind", "kind"), None, "kind", "kind"),
        (after_a_second_round("rude", "kind"), "rude", None, None),
        (after_a_second_round("rude", "kind"), None, None, None),
    ],
)
def test_the_rules_give_what_paper_and_code_give(opinions, classifier, paper, reference) -> None:
    assert decide(opinions, classifier=classifier, rule="paper").label == paper
    assert decide(opinions, classifier=classifier, rule="reference").label == reference
    if paper is None:
        assert decide(opinions, classifier=classifier, rule="paper").outcome is Outcome.ABSTAINED


def test_the_reference_rule_takes_final_opinions_of_a_second_round_alone() -> None:
    finals = after_a_second_round("kind", "kind")[2:]
    assert decide(finals, classifier="rude", rule="reference").label is None
    assert decide(finals, classifier="kind", rule="reference").label == "kind"


def test_the_quorum_counts_whom_the_decision_rests_on() -> None:
    assert decide(AGREED).quorum == 2
    assert decide(AGREED, classifier="rude").quorum == 3
    assert decide(AGREED, classifier="rude", rule="reference").quorum == 2
    assert decide([AGREED[0], opinion("user", None)]).quorum == 1
    assert decide([]).quorum == 0


def test_no_opinion_is_an_abstention() -> None:
    assert decide([]).outcome is Outcome.ABSTAINED


def test_a_failed_revision_is_not_replaced_by_the_opinion_before_it() -> None:
    opinions = [opinion("moderator", "rude"), opinion("user", "kind"), opinion("moderator", "kind", 1)]
    assert decide([*opinions, opinion("user", None, 1, Outcome.UNPARSABLE)]).outcome is Outcome.UNPARSABLE


def test_a_classifier_without_a_label_leaves_no_label() -> None:
    silent = opinion(CLASSIFIER, None, outcome=Outcome.ABSTAINED)
    assert decide(AGREED, classifier=silent).outcome is Outcome.ABSTAINED
    assert decide(AGREED, classifier=silent, rule="reference").label == "rude"
    assert decide(after_a_second_round("kind", "kind"), classifier=silent, rule="reference").label is None


def test_the_worst_outcome_stands_for_the_decision() -> None:
    assert set(WORST_FIRST) == set(Outcome) - {Outcome.LABELLED}
    refused, failed = opinion("moderator", None), opinion("user", None, outcome=Outcome.CALL_FAILED)
    assert decide([refused, failed]).outcome is Outcome.CALL_FAILED


def test_a_last_opinion_is_that_of_the_highest_round_in_any_order() -> None:
    opinions = after_a_second_round("kind", "rude")
    for order in itertools.permutations(opinions):
        assert {(o.agent, o.label) for o in final_opinions(order)} == {("moderator", "kind"), ("user", "rude")}


any_opinion = st.builds(
    opinion,
    agent=st.sampled_from(["a", "b", "c"]),
    label=st.sampled_from(["rude", "kind", None]),
    round=st.integers(0, 2),
    outcome=st.sampled_from(WORST_FIRST),
)
opinions_by_agent_and_round = st.lists(any_opinion, max_size=9, unique_by=lambda o: (o.agent, o.round))


@given(
    opinions_by_agent_and_round,
    st.sampled_from(["rude", "kind", None]),
    st.sampled_from(["paper", "reference"]),
    st.randoms(),
)
def test_a_decision_does_not_depend_on_the_order_of_opinions(opinions, classifier, rule, random) -> None:
    shuffled = random.sample(opinions, len(opinions))
    one, other = (decide(order, classifier=classifier, rule=rule) for order in (opinions, shuffled))
    assert (one.label, one.outcome, one.quorum) == (other.label, other.outcome, other.quorum)


@given(opinions_by_agent_and_round, st.sampled_from(["rude", "kind", None]), st.sampled_from(["paper", "reference"]))
def test_a_label_rests_on_labelled_opinions_that_all_say_it(opinions, classifier, rule) -> None:
    decision = decide(opinions, classifier=classifier, rule=rule)
    if decision.label is not None:
        assert {o.label for o in decision.basis} == {decision.label}
        assert {o.agent for o in decision.basis} >= {o.agent for o in opinions}
        assert decision.problem is None
    else:
        assert decision.outcome is not Outcome.LABELLED
        assert decision.problem


@given(opinions_by_agent_and_round)
def test_a_paper_label_never_survives_an_agent_whose_last_word_is_a_failure(opinions) -> None:
    if any(o.label is None for o in final_opinions(opinions)):
        assert decide(opinions, rule="paper").label is None
