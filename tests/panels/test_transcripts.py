"""Golden transcripts: what each panel sends and concludes, word for word, in `transcripts/`.

After a wanted change: `FOLKMOOT_WRITE_TRANSCRIPTS=1 pytest tests/panels/test_transcripts.py`, and read the difference.
"""

import json
import os
from pathlib import Path

import pytest
from mild import MANIEREN, MANNERS, POST, classifier_saying, pair, says
from test_few_shot import EXAMPLES

from folkmoot.models.scripted import ScriptedModel
from folkmoot.panels import ChainOfThought, Direct, FewShot, Negotiation
from folkmoot.records import Post

TRANSCRIPTS = Path(__file__).parent / "transcripts"
TORTE = Post(id="p2", text="Deine Torte sieht aus, als hätte sie meine Katze gebacken.")


def differ(one: str, other: str) -> ScriptedModel:
    return pair(
        moderator=[says(one, 0.7, "It mocks the baker."), says(other, 0.6, "Granted, it is about the cake.")],
        user=[says(other, 0.9, "Friends tease."), says(other, 0.8, "It stays a joke.")],
    )


def scenes():
    kind = classifier_saying("kind")
    yield "direct.en", Direct, MANNERS, POST, ScriptedModel([says("rude")]), {}
    yield "direct.de", Direct, MANIEREN, TORTE, ScriptedModel(["Keine Ahnung.", says("unhöflich")]), {}
    yield "chain_of_thought.en", ChainOfThought, MANNERS, POST, ScriptedModel([says("rude")]), {}
    yield "few_shot.en", FewShot, MANNERS, POST, ScriptedModel([says("rude")]), {"examples": EXAMPLES}
    yield "negotiation.en", Negotiation, MANNERS, POST, differ("rude", "kind"), {"classifier": kind}
    yield "negotiation.de", Negotiation, MANIEREN, TORTE, differ("unhöflich", "höflich"), {}
    reference = {"classifier": kind, "preset": "reference"}
    yield "negotiation-reference.en", Negotiation, MANNERS, POST, differ("rude", "kind"), reference
    silent = pair(moderator=[says("rude"), "mumble"], user=[says("kind"), says("kind")])
    yield "negotiation-unparsable.en", Negotiation, MANNERS, POST, silent, {}


@pytest.mark.parametrize("scene", scenes(), ids=lambda scene: scene[0])
async def test_a_panel_says_what_its_golden_transcript_says(scene) -> None:
    name, panel, task, post, model, options = scene
    verdict = await panel(task, model, **options).judge(post)
    lines = []
    for number, request in enumerate(model.requests, 1):
        lines.append(f"======== call {number} ========")
        for message in request.messages:
            lines += [f"---- {message['role']} ----", message["content"]]
    lines += ["======== verdict ========", json.dumps(json.loads(verdict.to_line()), indent=1, ensure_ascii=False), ""]
    path = TRANSCRIPTS / f"{name}.txt"
    if os.environ.get("FOLKMOOT_WRITE_TRANSCRIPTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "\n".join(lines)
