"""Invented profiles from a specification: how many, and how each trait is shared out."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field, model_validator

from folkmoot.formats.fields import record_from
from folkmoot.formats.profiles import BANKS
from folkmoot.records import BadInput, Profile, Record

ADULT = (18, 66)


class Age(Record):
    """A span of ages in years, both ends included, and its share."""

    lowest: int = Field(ge=13, le=120)
    highest: int = Field(ge=13, le=120)
    share: float = Field(gt=0)


class Specification(Record):
    """What a bank is made of. Shares need not sum to 1; each trait is shared out as exactly as whole people allow.

    `personas` are sentences with `{profession}`, `{country}`, `{first}` and `{second}` (interests) to fill in, by
    temperament; `names` are drawn from per country, else from `*`.
    """

    count: int = Field(gt=0)
    seed: int = 0
    prefix: str = "user"
    ages: tuple[Age, ...] = Field(min_length=1)
    genders: dict[str, float] = Field(min_length=1)
    countries: dict[str, float] = Field(min_length=1)
    professions: dict[str, float] = Field(min_length=1)
    temperaments: dict[str, float] = Field(min_length=1)
    topics: dict[str, float] = Field(min_length=1)
    interests: int = Field(default=3, ge=0)
    profession_ages: dict[str, tuple[int, int]] = Field(default_factory=dict)
    """Between which ages a profession is held, both included; `ADULT` where nothing is said."""
    names: dict[str, tuple[str, ...]]
    personas: dict[str, str]

    @model_validator(mode="after")
    def _every_trait_can_be_filled(self) -> Specification:
        if self.interests > len(self.topics):
            raise ValueError(f"{self.interests} interests cannot be drawn from {len(self.topics)} topics")
        if "*" not in self.names and set(self.countries) - set(self.names):
            raise ValueError("'names' needs an entry '*' or one for every country")
        if missing := set(self.temperaments) - set(self.personas):
            raise ValueError(f"'personas' lacks the temperaments {sorted(missing)}")
        return self


def read_specification(path: str | Path) -> Specification:
    """The specification of a TOML file; `world` is the shipped one.

    Raises:
        BadInput: the file is missing.
        BadRecord: it is no specification; names the field.
    """
    import tomllib

    path = BANKS / "world.toml" if str(path) == "world" else Path(path)
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise BadInput(f"cannot read a specification of profiles from {path}: no such file") from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path} is not TOML: {error}") from None
    return record_from(Specification, values, path=path, line=None, whole="personas")


def generate_profiles(specification: Specification) -> list[Profile]:
    """The profiles: the same specification and seed give the same ones on every machine.

    Each trait is shared out by largest remainders and shuffled on its own, so traits are independent of each other; only
    professions go to people of a fitting age, as far as there are any.
    Interests are dealt so that each topic has its share of all interests and nobody has one twice.
    """
    dice = random.Random(specification.seed)
    n = specification.count
    genders, countries, professions, temperaments = (
        shared_out(shares, n, dice)
        for shares in (
            specification.genders, specification.countries, specification.professions, specification.temperaments,
        )
    )  # fmt: skip
    spans = {str(number): span.share for number, span in enumerate(specification.ages)}
    ages = [
        dice.randint(specification.ages[int(span)].lowest, specification.ages[int(span)].highest)
        for span in shared_out(spans, n, dice)
    ]
    professions = by_age(professions, ages, specification.profession_ages)
    interests = deal(specification.topics, n, specification.interests, dice)
    profiles = []
    width = len(str(n))
    for number in range(n):
        country = countries[number]
        names = specification.names.get(country) or specification.names["*"]
        topics = interests[number]
        filled = {"first": topics[0] if topics else "everyday life", "second": topics[-1] if topics else "people"}
        persona = specification.personas[temperaments[number]].format(
            profession=professions[number], country=country, **filled
        )
        profiles.append(
            Profile(
                id=f"{specification.prefix}{number + 1:0{width}}", name=dice.choice(names), age=ages[number],
                gender=genders[number], country=country, profession=professions[number],
                temperament=temperaments[number], interests=tuple(topics), persona=persona,
            )
        )  # fmt: skip
    return profiles


def shared_out(shares: Mapping[str, float], count: int, dice: random.Random) -> list[str]:
    """`count` values, each as often as its share says (largest remainders), in random order."""
    total = sum(shares.values())
    exact = {name: share / total * count for name, share in shares.items()}
    whole = {name: int(value) for name, value in exact.items()}
    left = count - sum(whole.values())
    for name in sorted(exact, key=lambda name: (whole[name] - exact[name], name))[:left]:
        whole[name] += 1
    values = [name for name, times in whole.items() for _ in range(times)]
    dice.shuffle(values)
    return values


def by_age(professions: Sequence[str], ages: Sequence[int], spans: Mapping[str, tuple[int, int]]) -> list[str]:
    """The professions in another order, so that each is held at a fitting age: what fits the fewest people chooses first."""

    def span(name: str) -> tuple[int, int]:
        return spans.get(name, ADULT)

    free = list(range(len(ages)))
    held: dict[int, str] = {}
    left: list[str] = []
    fitting = {name: sum(span(name)[0] <= age <= span(name)[1] for age in ages) for name in set(professions)}
    for name in sorted(professions, key=lambda name: (fitting[name], name)):
        low, high = span(name)
        person = next((person for person in free if low <= ages[person] <= high), None)
        if person is None:
            left.append(name)
            continue
        held[person] = name
        free.remove(person)
    return [held[person] if person in held else left.pop() for person in range(len(ages))]


def deal(topics: Mapping[str, float], people: int, each: int, dice: random.Random) -> list[list[str]]:
    """`each` different topics for everybody, topics by their shares: always those with most left are dealt first."""
    left = dict.fromkeys(topics, 0)
    for topic in shared_out(topics, people * each, dice):
        left[topic] += 1
    hands: list[list[str]] = []
    for _ in range(people):
        order: Sequence[str] = sorted(topics, key=lambda topic: (-left[topic], dice.random()))
        hand = list(order[:each])
        for topic in hand:
            left[topic] -= 1
        dice.shuffle(hand)
        hands.append(hand)
    dice.shuffle(hands)
    return hands
