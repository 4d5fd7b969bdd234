"""Where evidence comes from and who looks, from plain values."""

import json
from pathlib import Path

import pytest

from folkmoot.evidence.keyword import KeywordRetriever
from folkmoot.evidence.several import SeveralRetrievers
from folkmoot.evidence.snapshot import SnapshotRetriever
from folkmoot.models.scripted import ScriptedModel
from folkmoot.perception import PerceptionSettings
from folkmoot.recipes.judges import JudgeSpec
from folkmoot.recipes.sources import WorldSpec, looking, retriever_of
from folkmoot.records import BadInput, Media, Outcome, Post

PICTURE = str(Path(__file__).parent.parent.parent / "data" / "media" / "m0001.jpg")
QUICK = PerceptionSettings(ocr=False, faces=False, speech=False, hashes=False)


def test_a_world_without_sources_has_no_retriever() -> None:
    assert retriever_of(WorldSpec()) is None


def test_sources_are_asked_together_and_kept(tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text('{"id": "a", "text": "The ferry sails."}\n')
    plain = retriever_of(WorldSpec(corpus=str(tmp_path / "c.jsonl"), search="bm25"))
    assert isinstance(plain, KeywordRetriever)
    both = WorldSpec(
        corpus=str(tmp_path / "c.jsonl"), search="bm25", sources=("wikipedia:de",), snapshot=str(tmp_path / "s.jsonl")
    )
    kept = retriever_of(both)
    assert isinstance(kept, SnapshotRetriever)
    assert isinstance(kept.live, SeveralRetrievers)
    assert "de.wikipedia.org" in kept.name


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"as_of": "2020"}, "--as-of: it is no day"), ({"without": ["sound"]}, "--without sound: there are text, video"),
        ({"threshold": -1}, "--threshold"), ({"gate": "maybe"}, "--gate"),
    ],
)  # fmt: skip
def test_bad_values_name_their_option(values: dict, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        WorldSpec.read(values)


def test_unknown_sources_and_places_are_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no source 'altavista'"):
        retriever_of(WorldSpec(sources=("altavista",)))
    with pytest.raises(BadInput, match="no such corpus"):
        retriever_of(WorldSpec(corpus=str(tmp_path / "none")))


def test_paths_are_no_part_of_a_runs_identity() -> None:
    here, there = (JudgeSpec(panel="delphi", world=WorldSpec(corpus=c, as_of="2020-01-01")) for c in ("/a", "/b"))
    assert here.world.configuration() == there.world.configuration()
    assert here.world.configuration()["as_of"] == "2020-01-01"


async def test_a_captioner_adds_what_it_sees_and_its_calls() -> None:
    post = Post(id="p", media=(Media(path=PICTURE),))
    model = ScriptedModel([json.dumps({"description": "A lake."})])
    seen = await looking(QUICK, captioner=model)(post)
    assert [(o.kind, o.text, o.outcome) for o in seen][-1] == ("caption", "A lake.", Outcome.LABELLED)
    assert all(o.kind != "caption" for o in await looking(QUICK)(post))
