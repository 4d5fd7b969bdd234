"""What a training step costs: the shared prefix beside TRL's ORPOTrainer, and beside two passes over a picture.

    python benchmarks/preference_step.py --trl VENV/bin/python --out step.json
    python benchmarks/preference_step.py --trl VENV/bin/python --pairs pairs.jsonl      # recorded pairs in place of made ones
    python benchmarks/preference_step.py --picture                                      # tiny Qwen2-VL, one pass and two

Ours and TRL's train the same model (SmolLM2-135M in float32, LoRA of rank 16 on the same layers) on the same pairs in the
same batches, each in a process of its own, in turn (A B A B). A step's time is the median over a run's steps but the
first; peak memory is the process's own. Made pairs have a prompt of 300 tokens and replies of 60. Ours learns the
responses alone, its default; `all` also learns the prompt, as TRL does, and `two` reads each prompt twice as well.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

STEPS, BATCH = 5, 2
LORA = {"r": 16, "lora_alpha": 32}
LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def made_pairs(folder: str, count: int) -> list[dict[str, str]]:
    """Pairs with a prompt of 300 tokens and replies of 60, of words that are one token each."""
    import random

    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    words = [w for w in (" tea", " rain", " house", " late", " good", " book", " train", " warm", " day", " town")
             if len(tokenizer(w)["input_ids"]) == 1]  # fmt: skip
    dice = random.Random(0)

    def text(tokens: int) -> str:
        return "".join(dice.choice(words) for _ in range(tokens))

    return [{"prompt": text(300), "chosen": text(60), "rejected": text(60)} for _ in range(count)]


def ours(folder: str, pairs: Path, *, two_passes: bool, with_prompt: bool) -> dict[str, Any]:
    """Seconds a step of our own trainer's passes, loss and optimiser."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from folkmoot.students.branching import Likelihood
    from folkmoot.training.lora import adapted
    from folkmoot.training.preference import PreferenceSettings
    from folkmoot.training.preference_losses import orpo
    from folkmoot.training.shared_prefix import PreferenceForward, TokenPair

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = adapted(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), PreferenceSettings())
    reader = PreferenceForward(model, padding=tokenizer.pad_token_id or 0, shared_prefix=not two_passes)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-5)

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    rows = [json.loads(line) for line in pairs.read_text().splitlines()]
    held = [TokenPair(ids(r["prompt"]), [*ids(r["chosen"]), 2], [*ids(r["rejected"]), 2]) for r in rows]
    seconds = []
    for at in range(0, len(held), BATCH):
        started = time.perf_counter()
        read = reader(held[at : at + BATCH], with_prompt=with_prompt)
        nll = read.chosen
        if read.prompt is not None:
            nll = Likelihood(nll.log_prob + read.prompt.log_prob, nll.tokens + read.prompt.tokens)
        loss = orpo(read.chosen, read.rejected, lam=0.1, nll=nll)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        seconds.append(time.perf_counter() - started)
    tokens = statistics.mean(pair.tokens for pair in held)
    return {"seconds": seconds, "loss": loss.item(), "tokens": tokens, "peak_mib": peak()}


def trl(folder: str, pairs: Path) -> dict[str, Any]:
    """Seconds a step of TRL's ORPOTrainer."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    seconds: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.started = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            seconds.append(time.perf_counter() - self.started)

    import torch

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    rows = [json.loads(line) for line in pairs.read_text().splitlines()]
    with tempfile.TemporaryDirectory() as scratch:
        wanted = {
            "output_dir": scratch, "per_device_train_batch_size": BATCH, "num_train_epochs": 1, "max_length": 2048,
            "learning_rate": 1e-5, "beta": 0.1, "report_to": [], "save_strategy": "no", "use_cpu": True,
            "gradient_checkpointing": False, "bf16": False, "disable_tqdm": True, "logging_steps": 1,
        }  # fmt: skip
        known = set(ORPOConfig.__dataclass_fields__)
        trainer = ORPOTrainer(
            model=model, args=ORPOConfig(**{k: v for k, v in wanted.items() if k in known}),
            train_dataset=Dataset.from_list(rows), processing_class=tokenizer, callbacks=[Clock],
            peft_config=LoraConfig(target_modules=LAYERS, task_type="CAUSAL_LM", **LORA),
        )  # fmt: skip
        result = trainer.train()
    return {"seconds": seconds, "loss": result.training_loss, "peak_mib": peak()}


def picture(repeats: int) -> None:
    """Steps on a tiny Qwen2-VL of the real architecture with one picture in the prompt: one pass beside two."""
    import numpy as np
    import torch

    sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "training"))
    from PIL import Image
    from tiny_models import image_processor, qwen2_vl, tokenizer

    from folkmoot.students.media_reader import MediaReader
    from folkmoot.students.prompting import prompt_positions
    from folkmoot.training.preference_losses import orpo
    from folkmoot.training.shared_prefix import PreferenceForward, TokenPair

    model = qwen2_vl()
    reader = MediaReader(tokenizer(), image_processor(), image_token_id=model.config.image_token_id)
    reader.image_processor.size = {"shortest_edge": 28 * 28, "longest_edge": 28 * 28 * 256}
    dice = np.random.default_rng(0)
    shown = Image.fromarray(dice.integers(0, 255, (448, 448, 3), dtype=np.uint8))
    turns = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Is it tea?"}]}]
    text = reader.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    read = reader(text=[text], images=[shown])
    media = {"pixel_values": read["pixel_values"], "image_grid_thw": read["image_grid_thw"]}
    prompt, positions = read["input_ids"][0].tolist(), prompt_positions(model, read)
    pairs = [TokenPair(prompt, dice.integers(0, 200, 60).tolist(), dice.integers(0, 200, 60).tolist(), media, positions)
             for _ in range(BATCH)]  # fmt: skip
    times: dict[str, list[float]] = {"one pass": [], "two passes": []}
    for _ in range(repeats + 1):
        for name, shared in (("one pass", True), ("two passes", False)):
            forward = PreferenceForward(model, padding=0, shared_prefix=shared)
            started = time.perf_counter()
            likely = forward(pairs)
            loss = orpo(likely.chosen, likely.rejected)
            model.zero_grad()
            loss.backward()
            times[name].append(time.perf_counter() - started)
            assert torch.isfinite(loss)
    one, two = (times[name][1:] for name in times)
    ratios = [b / a for a, b in zip(one, two, strict=True)]
    print(f"picture prompt of {len(prompt)} tokens, replies of 60: one pass {statistics.median(one):.3f} s, two "
          f"{statistics.median(two):.3f} s, {statistics.median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})")  # fmt: skip


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(interpreter: str, client: str, folder: str, pairs: Path) -> dict[str, Any]:
    """One client in a process of its own."""
    done = subprocess.run(
        [interpreter, __file__, "--client", client, "--model", folder, "--pairs", str(pairs)], capture_output=True, text=True
    )  # fmt: skip
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl", metavar="VENV/bin/python", help="an interpreter that has trl and peft")
    parser.add_argument("--pairs", type=Path, help="recorded pairs; made ones by default")
    parser.add_argument("--clients", default="ours,all,two,trl", help="which to run")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--picture", action="store_true")
    parser.add_argument("--client", choices=["ours", "all", "two", "trl"], help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.picture:
        picture(max(5, given.repeats))
        return
    if given.client:
        client = given.client
        if client == "trl":
            result = trl(given.model, given.pairs)
        else:
            result = ours(given.model, given.pairs, two_passes=client == "two", with_prompt=client != "ours")
        print(json.dumps(result))
        return
    from folkmoot.models.weights import base_folder

    folder = str(base_folder("embedded"))
    with tempfile.TemporaryDirectory() as scratch:
        held = Path(scratch) / "pairs.jsonl"
        rows = made_pairs(folder, BATCH * given.steps)
        if given.pairs:
            recorded = [json.loads(line) for line in given.pairs.read_text().splitlines()][: BATCH * given.steps]
            rows = [{name: row[name][-1]["content"] for name in ("prompt", "chosen", "rejected")} for row in recorded]
        held.write_text("".join(json.dumps(row) + "\n" for row in rows))
        readings: dict[str, list[dict[str, Any]]] = {name: [] for name in given.clients.split(",")}
        for _ in range(given.repeats):
            for client in readings:
                if client != "trl" or given.trl:
                    readings[client].append(run(given.trl if client == "trl" else sys.executable, client, folder, held))
    for client, runs in readings.items():
        for result in runs:
            median = statistics.median(result["seconds"][1:])
            print(
                f"{client:<5} {median:6.2f} s a step of {BATCH} pairs, peak {result['peak_mib']:.0f} MiB, last loss {result['loss']:.4f}"
            )
    for other in readings:
        if other != "ours" and readings[other]:
            ratios = [
                statistics.median(b["seconds"][1:]) / statistics.median(a["seconds"][1:])
                for a, b in zip(readings["ours"], readings[other], strict=True)
            ]
            print(f"{other} / ours: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    if given.out:
        given.out.write_text(json.dumps(readings))


if __name__ == "__main__":
    main()
