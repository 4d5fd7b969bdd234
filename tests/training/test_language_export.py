"""A language-model student for others: merged, and as GGUF that llama.cpp reads with the same odds."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import llama, save_llama

from folkmoot.formats import load_task
from folkmoot.models.embedded import embedded_weights
from folkmoot.models.weights import base_folder
from folkmoot.records import BadInput, Post
from folkmoot.students import LanguageCard, open_student
from folkmoot.training.language_export import export_language, interleaved, write_gguf
from folkmoot.training.lora import adapted
from folkmoot.training.preference import PreferenceSettings

TASK = load_task("misinformation")
POSTS = [Post(id=f"p{n}", text=f"tea {n} cures rain") for n in range(3)]


def adapter_student(folder: Path) -> Path:
    """A student with an adapter that does something, on a tiny base."""
    save_llama(folder / "base", context=1024)
    model = adapted(llama(context=1024), PreferenceSettings(lora_rank=4))
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.2)
    model.save_pretrained(str(folder / "student/adapter"))
    LanguageCard(name="s", task=TASK, base="../base").save(folder / "student")
    return folder / "student"


def test_a_merged_student_says_the_same_without_its_base_or_peft(tmp_path: Path) -> None:
    student = adapter_student(tmp_path)
    before = open_student(student).verdicts(POSTS)
    done = export_language(student, tmp_path / "merged", "merged")
    assert not (tmp_path / "merged/adapter").exists()
    (tmp_path / "base").rename(tmp_path / "gone")
    after = open_student(Path(done.path)).verdicts(POSTS)
    for one, two in zip(before, after, strict=True):
        assert one.probabilities == pytest.approx(two.probabilities, abs=1e-4)
    plain = LanguageCard(name="s", task=TASK, base="../gone")
    plain.save(tmp_path / "plain")
    assert open_student(tmp_path / "plain").verdicts(POSTS)[0].probabilities != before[0].probabilities


def test_heads_are_interleaved_as_llama_cpp_rotates_them() -> None:
    rows = np.arange(8, dtype=np.float32)[:, None]  # two heads of four dimensions
    assert interleaved(rows, 2)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


@pytest.mark.slow
def test_llama_cpp_reads_the_gguf_file_with_the_odds_of_transformers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    xllamacpp = pytest.importorskip("xllamacpp")
    import transformers

    from folkmoot.students.prompting import load_model_and_reader

    model, reader = load_model_and_reader(transformers, base_folder("embedded"), dtype=torch.float32)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.add_(torch.randn_like(parameter) * 0.003)
    assert write_gguf(model, tmp_path / "s.gguf", template=embedded_weights()) == 272
    wanted = xllamacpp.CommonParams()
    wanted.model.path = str(tmp_path / "s.gguf")
    wanted.n_parallel, wanted.n_ctx, wanted.port, wanted.hostnames = 1, 512, 0, ["127.0.0.1"]
    wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = 1
    wanted.verbosity, wanted.ui, wanted.warmup = -1, False, False
    server = xllamacpp.Server(wanted)
    for text in ("The tea is warm and the", "Verdict:", "It rains in"):
        ids = reader(text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            ours = model(ids).logits[0, -1].log_softmax(-1)
        asked = {"prompt": ids[0].tolist(), "n_predict": 1, "n_probs": 5, "temperature": 0, "cache_prompt": False}
        request = urllib.request.Request(
            server.listening_address + "/completion", json.dumps(asked).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as reply:
            top = json.load(reply)["completion_probabilities"][0]["top_logprobs"]
        for one in top:
            assert one["logprob"] == pytest.approx(ours[one["id"]].item(), abs=0.03)


def test_what_has_no_gguf_form_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    with pytest.raises(BadInput, match="only students taught from it"):
        write_gguf(llama(), tmp_path / "x.gguf", template=embedded_weights())
    with pytest.raises(BadInput, match=r"ends in \.gguf"):
        export_language(adapter_student(tmp_path), tmp_path / "x.bin", "gguf")
    assert not (tmp_path / "x.gguf").exists()
