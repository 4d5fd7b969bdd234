"""Profiles from three files, the generator, and the shipped bank."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from folkmoot.formats.profile_generator import ADULT, Specification, generate_profiles, read_specification
from folkmoot.formats.profiles import BANKS, read_profiles, write_profiles
from folkmoot.formats.seatings import read_seatings
from folkmoot.records import BadInput, BadRecord, Profile


def test_our_own_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    profiles = [Profile(id="a", age=30, interests=("Tea",)), Profile(id="b")]
    write_profiles(profiles, tmp_path / "p.jsonl")
    bank = read_profiles(tmp_path / "p.jsonl")
    assert (list(bank.profiles), bank.without_interests, bank.topics) == (profiles, 1, ("Tea",))


def test_two_users_of_one_name_in_an_oasis_twitter_file_stay_two(tmp_path: Path) -> None:
    path = tmp_path / "group.csv"
    path.write_text("user_id,name,username,user_char\n7,Ann,ann,calm\n8,Ann,ann,loud\n9,Bo,bo,dry\n")
    found = read_profiles(path).profiles
    assert [(profile.id, profile.persona) for profile in found] == [("ann-7", "calm"), ("ann-8", "loud"), ("bo", "dry")]
    path.write_text("name,username,user_char\nAnn,ann,calm\nAnn,ann,loud\n")
    with pytest.raises(BadRecord, match="line 3, field 'id': line 2 has this id already"):
        read_profiles(path)


def test_oasis_reddit_and_twitter_files_are_read_under_our_names(tmp_path: Path) -> None:
    row = {"realname": "Invented Name", "username": "inv", "bio": "b", "persona": "Likes tea.", "age": 40,
           "gender": "male", "mbti": "ESTJ", "country": "UK", "profession": "Cook", "interested_topics": ["Tea", "Fun"]}  # fmt: skip
    (tmp_path / "r.json").write_text(json.dumps([row]))
    (profile,) = read_profiles(tmp_path / "r.json").profiles
    assert (profile.id, profile.temperament, profile.interests) == ("inv", "ESTJ", ("Tea", "Fun"))
    assert "Likes tea." in profile.words()
    (tmp_path / "t.csv").write_text(
        ",user_id,name,username,user_char,description\n0,1,N,u0,Brews all day,d\n1,2,N,u1,,Sleeps\n"
    )
    bank = read_profiles(tmp_path / "t.csv")
    assert [profile.persona for profile in bank.profiles] == ["Brews all day", "Sleeps"]
    assert bank.without_interests == 2


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("p.jsonl", '{"id":"a"}\n{"id":"a"}\n', r"p\.jsonl, line 2, field 'id': line 1 has this id"),
        ("p.jsonl", '{"id":"a","interest":["x"]}\n', "did you mean 'interests'"),
        ("p.jsonl", '{"id":"a","age":200}\n', "field 'age'"),
        ("p.json", "[1]", "not a list of objects"),
        ("p.json", '[{"age":1}]', r"p\.json, line 1, field 'username'"),
        ("p.json", "{", "not valid JSON"),
        ("p.csv", "a,b\n1,2\n", "field 'username'"),
        ("p.txt", "x", "cannot tell what profiles"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_by_line_and_field(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(BadInput, match=said):
        read_profiles(tmp_path / name)


def test_the_shipped_bank_is_what_its_specification_gives(tmp_path: Path) -> None:
    write_profiles(generate_profiles(read_specification("world")), tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == (BANKS / "world.jsonl").read_bytes()


def test_the_shipped_bank_is_balanced_and_knows_more_topics_than_seven() -> None:
    bank = read_profiles("world")
    assert len(bank.profiles) >= 200
    assert bank.without_interests == 0
    assert len(bank.topics) == 20
    genders = Counter(profile.gender for profile in bank.profiles)
    assert abs(genders["female"] - genders["male"]) <= 1
    spans = read_specification("world").profession_ages
    odd = [
        p
        for p in bank.profiles
        if not spans.get(p.profession, ADULT)[0] <= int(p.age or 0) <= spans.get(p.profession, ADULT)[1]
    ]
    assert len(odd) <= 2


SMALL = {
    "ages": [{"lowest": 20, "highest": 30, "share": 1}], "genders": {"f": 2, "m": 1}, "countries": {"X": 1, "Y": 3},
    "professions": {"cook": 1, "poet": 1}, "temperaments": {"calm": 1}, "topics": {"Tea": 3, "Rain": 1, "Sun": 1},
    "names": {"*": ["N"]}, "personas": {"calm": "{profession} in {country}, {first} and {second}"},
}  # fmt: skip


@given(count=st.integers(1, 40), seed=st.integers(0, 5), each=st.integers(0, 3))
@settings(max_examples=30, deadline=None)
def test_every_trait_has_its_share_as_exactly_as_whole_people_allow(count: int, seed: int, each: int) -> None:
    made = Specification.model_validate({**SMALL, "count": count, "seed": seed, "interests": each})
    profiles = generate_profiles(made)
    assert profiles == generate_profiles(made)
    assert len({profile.id for profile in profiles}) == count
    for trait, shares in (("gender", made.genders), ("country", made.countries), ("profession", made.professions)):
        seen = Counter(getattr(profile, trait) for profile in profiles)
        for value, share in shares.items():
            assert abs(seen[value] - count * share / sum(shares.values())) < 1
    assert all(len(set(profile.interests)) == each for profile in profiles)


def test_a_specification_that_cannot_be_filled_names_its_field(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text((BANKS / "world.toml").read_text().replace("interests = 3", "interests = 30"))
    with pytest.raises(BadRecord, match="30 interests cannot be drawn from 20 topics"):
        read_specification(tmp_path / "s.toml")


@pytest.mark.parametrize(
    ("row", "said"),
    [('{"users":["a"]}', "field 'id'"), ('{"id":"p","users":"a"}', "field 'users': not a list"),
     ('{"id":"p","users":["a","a"]}', "named twice"), ('{"id":"p"}\n{"id":"p"}', "line 2, field 'id'")],
)  # fmt: skip
def test_a_plan_that_cannot_be_used_is_told_by_line_and_field(tmp_path: Path, row: str, said: str) -> None:
    (tmp_path / "plan.jsonl").write_text(row + "\n")
    with pytest.raises(BadRecord, match=said):
        read_seatings(tmp_path / "plan.jsonl")


def test_a_plan_may_name_users_or_topics_or_neither(tmp_path: Path) -> None:
    (tmp_path / "plan.jsonl").write_text(
        '{"id":"p","users":["a"]}\n{"id":"q","topics":["Tea"]}\n{"id":"r","text":"x"}\n'
    )
    rows = read_seatings(tmp_path / "plan.jsonl")
    assert (rows["p"].users, rows["p"].topics) == (("a",), None)
    assert (rows["q"].users, rows["q"].topics) == (None, ("Tea",))
    assert rows["r"] == (None, None)


def test_a_bank_is_exported_from_a_specification_or_a_file(tell: Any, tmp_path: Path) -> None:
    code, _, err = tell("export", "profiles", "--specification", "world", "--out", tmp_path / "a.jsonl")
    assert code == 0, err
    code, _, err = tell("export", "profiles", "--in", "world", "--out", tmp_path / "b.jsonl")
    assert code == 0, err
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    assert tell("export", "profiles", "--out", tmp_path / "c.jsonl")[0] == 2
