"""Is our ORPO TRL's? The same model, the same pairs, the loss and its gradient by both.

    PYTHONPATH=src VENV/bin/python benchmarks/orpo_equality.py            # VENV has trl 1.16, peft and what folkmoot needs

TRL's ORPOTrainer makes the batch; our loss reads the same token ids on the shared prefix, with its convention (`nll =
"all"`: the prompt is learned too). A tiny random Llama in float32 on the CPU.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

ROWS = [
    ("Is the tea warm?", "It is warm.", "No."),
    ("What falls today?", "Rain falls, all day long.", "It is the post of the day before."),
    ("Who won?", "Ann.", "Nobody did, as far as we can tell from here."),
    ("A longer question about nothing in particular?", "Yes", "It may be, or it may not be."),
]
BETA = 0.1


def main() -> None:
    import torch
    from datasets import Dataset
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "training"))
    from tiny_models import llama, tokenizer

    from folkmoot.students.branching import Branching, Likelihood, read_answers
    from folkmoot.training.preference_losses import orpo

    with tempfile.TemporaryDirectory() as folder:
        config = ORPOConfig(
            output_dir=folder, per_device_train_batch_size=len(ROWS), beta=BETA, max_length=256, report_to=[],
            use_cpu=True, bf16=False, gradient_checkpointing=False, disable_dropout=True,
        )  # fmt: skip
        data = Dataset.from_list([{"prompt": p, "chosen": c, "rejected": r} for p, c, r in ROWS])
        trainer = ORPOTrainer(model=llama(), args=config, train_dataset=data, processing_class=tokenizer())
        batch: dict[str, Any] = next(iter(trainer.get_train_dataloader()))
        theirs = trainer.model
        loss, _ = trainer.get_batch_loss_metrics(theirs, batch, "train")
        loss.backward()
        mine = llama()
        items = []
        for row in range(len(ROWS)):
            parts = []
            for side in ("chosen", "rejected"):
                real = batch[f"{side}_attention_mask"][row].bool()
                ids, labels = batch[f"{side}_input_ids"][row][real], batch[f"{side}_labels"][row][real]
                parts.append((ids[labels == -100].tolist(), ids[labels != -100].tolist()))
            (prompt, chosen), (again, rejected) = parts
            assert prompt == again, "TRL's two prompts differ, so that they cannot be read once"
            items.append(Branching(prompt, [chosen, rejected]))
        (chosen_likelihood, rejected_likelihood), prompts = read_answers(
            mine, items, padding=0, kinds=(1, 2), with_prompt=True
        )
        assert prompts is not None
        both = Likelihood(prompts.log_prob + chosen_likelihood.log_prob, prompts.tokens + chosen_likelihood.tokens)
        ours = orpo(chosen_likelihood, rejected_likelihood, lam=BETA, nll=both)
        ours.backward()
        print(f"TRL {float(loss.detach()):.8f}, ours {float(ours.detach()):.8f}, "
              f"difference {abs(float(loss.detach()) - float(ours.detach())):.2e}")  # fmt: skip
        worst = max(
            float((a.grad - b.grad).abs().max())
            for (_, a), (_, b) in zip(theirs.named_parameters(), mine.named_parameters(), strict=True)
            if a.grad is not None and b.grad is not None
        )
        largest = max(float(p.grad.abs().max()) for p in mine.parameters() if p.grad is not None)
        print(f"largest difference of a gradient {worst:.2e}, where the largest gradient is {largest:.2e}")
        assert abs(float(loss.detach()) - float(ours.detach())) < 1e-5
        assert torch.isfinite(ours)


if __name__ == "__main__":
    main()
