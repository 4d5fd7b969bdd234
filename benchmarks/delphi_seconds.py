"""How long the whole Delphi team takes over a real clip with the embedded models, offline, nothing cached.

    python benchmarks/delphi_seconds.py --data DIR [--pairs 3]

Each clip is judged by the command itself in a process of its own: perception, retrieval from a small corpus (the gate
always open), every member of the team. The int8 encoder file is made beforehand, as it is once on any machine. Wall
seconds, the start of Python included.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from folkmoot.models.sentence_encoder import SentenceEncoder
from folkmoot.models.weights import cache_folder

CORPUS = (
    ("w1", "The James Webb Space Telescope was assembled in the cleanroom of Goddard Space Flight Center in Maryland."),
    ("w2", "Kiel is a port city in northern Germany."),
    ("w3", "A duvet clip holds a duvet in its cover."),
)


def main(data: Path, pairs: int) -> None:
    SentenceEncoder()
    clips = [
        *sorted((data / "micro_videos_zh" / "media").glob("*.mp4")),
        data / "speech_samples" / "media" / "nasa_13013.mp4",
    ]
    texts = {
        row["id"]: row["text"]
        for line in (data / "micro_videos_zh" / "clips.jsonl").read_text(encoding="utf-8").splitlines()
        if (row := json.loads(line))
    }
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        corpus = place / "corpus.jsonl"
        corpus.write_text(
            "".join(json.dumps({"id": i, "text": t, "published": "2019-01-01"}) + "\n" for i, t in CORPUS)
        )
        for clip in clips:
            seconds, outcome = [], ""
            for _ in range(pairs):
                cache = place / "cache"
                shutil.rmtree(cache, ignore_errors=True)
                shutil.copytree(
                    cache_folder(), cache, ignore=shutil.ignore_patterns("perception", "vectors", "smollm*")
                )
                post = {
                    "id": clip.stem,
                    "text": texts.get(clip.stem, "A telescope in a cleanroom"),
                    "media": [{"path": str(clip.resolve()), "type": "video"}],
                }
                (place / "p.jsonl").write_text(json.dumps(post) + "\n")
                out = place / "v.jsonl"
                out.unlink(missing_ok=True)
                shutil.rmtree(f"{out}.run", ignore_errors=True)
                command = [sys.executable, "-m", "folkmoot", "judge", "--panel", "delphi", "--task", "micro_video", "--gate", "always",
                           "--posts", str(place / "p.jsonl"), "--corpus", str(corpus), "--out", str(out), "--max-failures", "1"]  # fmt: skip
                start = time.perf_counter()
                subprocess.run(
                    command, check=True, capture_output=True, env={**os.environ, "FOLKMOOT_CACHE": str(cache)}
                )
                seconds.append(time.perf_counter() - start)
                verdict = json.loads(out.read_text())
                outcome = (
                    f"{verdict['outcome']}, {len(verdict['calls'])} calls, {len(verdict['observations'])} observations"
                )
            told = ", ".join(f"{s:.1f}" for s in seconds)
            print(f"{clip.stem}: {told} s ({outcome})", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=3)
    arguments = parser.parse_args()
    main(arguments.data, arguments.pairs)
