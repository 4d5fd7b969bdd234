"""The student's network: a text encoder, mean pooling, and one logit. The only module here that needs torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn


class TextClassifier(nn.Module):
    """A transformers encoder with a linear head; its output is the logit of the task's positive label.

    `normalised` scales the pooled vector to length 1 before the head, as sentence encoders are trained.
    """

    def __init__(self, encoder: Any, *, dropout: float = 0.1, normalised: bool = False) -> None:
        super().__init__()
        self.encoder: nn.Module = encoder
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.config.hidden_size, 1)
        self.normalised = normalised
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def pool(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Mean of the last hidden states over real tokens: [B, T] -> [B, D]."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state  # [B, T, D]
        real = attention_mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * real).sum(1) / real.sum(1).clamp_min(1)
        return nn.functional.normalize(pooled, dim=-1) if self.normalised else pooled

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Token ids and mask [B, T] -> logits [B]."""
        logits: Tensor = self.head(self.dropout(self.pool(input_ids, attention_mask)))
        return logits.squeeze(-1)

    def save(self, folder: Path) -> None:
        """Write `encoder.json` (the encoder's configuration) and `model.safetensors` into a folder."""
        from safetensors.torch import save_file

        configuration: Any = self.encoder.config
        configuration.to_json_file(str(folder / "encoder.json"), use_diff=False)
        state = {name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()}
        save_file(state, str(folder / "model.safetensors"), metadata={"normalised": str(int(self.normalised))})

    @classmethod
    def load(cls, folder: Path) -> TextClassifier:
        """The network that `save` wrote, in evaluation mode."""
        import json

        from safetensors import safe_open
        from transformers import AutoConfig, AutoModel

        raw = json.loads((folder / "encoder.json").read_text())
        configuration = AutoConfig.for_model(raw.pop("model_type"), **raw)
        with safe_open(str(folder / "model.safetensors"), framework="pt") as tensors:
            state = {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118 - not a dict
            normalised = (tensors.metadata() or {}).get("normalised") == "1"
        network = cls(AutoModel.from_config(configuration), normalised=normalised)
        network.load_state_dict(state)
        return network.eval()
