"""Which judge the options of `folkmoot judge` name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from folkmoot.recipes.judges import JudgeSpec

SEEKING = ("corpus", "sources", "search", "as_of", "allow_undated", "allowed", "snapshot", "gate", "threshold")
"""The options of panels that look for evidence."""


def chosen_judge(
    name: str | None,
    given: Mapping[str, object],
    world: Mapping[str, object],
    *,
    price_in: float | None,
    price_out: float | None,
) -> "JudgeSpec":
    """The judge that `--judge` names, or the panel or opinions that stand in `given`, with the other options.

    Args:
        given: fields of a judge's spec as the options filled them; None where one was left out.
        world: the same for where its evidence comes from.

    Raises:
        BadInput: no judge or two are named, or one takes no such option.
    """
    from folkmoot.recipes.judges import JudgeSpec, find_judge
    from folkmoot.recipes.sources import RETRIEVING
    from folkmoot.records import BadInput

    if (name is not None) == (given["panel"] is not None or given["opinions"] is not None):
        raise BadInput("name exactly one judge: --judge, --panel or --opinions (which may stand in for a --panel)")
    named = find_judge(name) if name else JudgeSpec()
    if named.student is None and given["thorough"]:
        raise BadInput("--thorough is for a student, and no student was named; leave that out")
    idle = [field for field in given_ones({**given, **world}) if field not in ("task", "seed", "thorough")]
    if named.student and idle:
        raise BadInput(f"{name} is a student, which takes no {options_of(idle)}; leave that out")
    spec = with_options(named, given, world, price_in, price_out)
    panel = spec.panel.partition(":")[0] if spec.panel else None
    unused = [field for field in SEEKING if world[field] is not None]
    if panel is not None and panel not in RETRIEVING and spec.opinions is None and unused:
        raise BadInput(
            f"panel '{panel}' looks for no evidence, so it takes no {options_of(unused)}; the panels that do are "
            f"{', '.join(RETRIEVING)}"
        )
    return spec


def options_of(names: Sequence[str]) -> str:
    """Fields of a judge's spec as the options that fill them."""
    return ", ".join(f"--{'source' if name == 'sources' else name.replace('_', '-')}" for name in names)


def with_options(
    spec: "JudgeSpec",
    given: Mapping[str, object],
    world: Mapping[str, object],
    price_in: float | None,
    price_out: float | None,
) -> "JudgeSpec":
    """The spec with what the command line says in place of its own fields."""
    from folkmoot.recipes.sources import WorldSpec

    price = spec.price.model_copy(
        update=given_ones({"input_usd_per_million": price_in, "output_usd_per_million": price_out})
    )
    found = given_ones(world)
    evidence = WorldSpec.read({**spec.world.model_dump(), **found}) if found else spec.world
    return spec.model_copy(update={**given_ones(given), "price": price, "world": evidence})


def given_ones(values: Mapping[str, object]) -> dict[str, object]:
    """The fields whose options were given, paths as text."""
    return {
        name: str(value) if isinstance(value, Path) else value for name, value in values.items() if value is not None
    }
