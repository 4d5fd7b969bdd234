"""The student's network: a text encoder, mean pooling, and one logit. The only module here that needs torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class TextClassifier(nn.Module):
    """A transformers encoder with a linear head; its output is the logit of the task's positive label.

    `normalised` scales the pooled vector to length 1 before the head, as sentence encoders are trained. `every_layer`
    pools each layer so and puts the vectors side by side: what a frozen encoder's middle layers know of a post, such as
    its mood, its last one has partly left behind.
    """

    def __init__(
        self, encoder: Any, *, dropout: float = 0.1, normalised: bool = False, every_layer: bool = False
    ) -> None:
        super().__init__()
        self.encoder: nn.Module = encoder
        self.dropout = nn.Dropout(dropout)
        self.normalised, self.every_layer = normalised, every_layer
        self.head = nn.Linear(encoder.config.hidden_size * (encoder.config.num_hidden_layers if every_layer else 1), 1)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def pool(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Mean of the last hidden states over real tokens: [B, T] -> [B, D]; of every layer's, [B, layers * D]."""
        found = self.encoder(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=self.every_layer)
        layers = found.hidden_states[1:] if self.every_layer else [found.last_hidden_state]  # [B, T, D] each
        real = attention_mask.unsqueeze(-1).to(layers[0].dtype)
        pooled = [(hidden * real).sum(1) / real.sum(1).clamp_min(1) for hidden in layers]
        if self.normalised:
            pooled = [nn.functional.normalize(vector, dim=-1) for vector in pooled]
        return torch.cat(pooled, dim=-1) if self.every_layer else pooled[0]

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
        # One entry: safetensors writes several in an order of chance, and the same run is to leave the same bytes.
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
        network = cls(
            AutoModel.from_config(configuration),
            normalised=normalised,
            every_layer=state["head.weight"].shape[1] > configuration.hidden_size,
        )
        network.load_state_dict(state)
        return network.eval()
