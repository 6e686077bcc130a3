"""The sides of the speed benchmarks: each trains on a workload for as long as it gets turns. Not a benchmark itself."""

from __future__ import annotations

import itertools
from typing import Any

from turns import Baton
from workloads import RESULTS, Workload

TEMPERATURE = 0.05  # of conf/loss/infonce.yaml; sentence-transformers calls 1/temperature its scale

EPOCH_REPEATS = 16  # of the sessions for sentence-transformers: an epoch costs it time of its own


def hft_side(baton: Baton, workload: Workload, overrides: tuple[str, ...] = ()) -> None:
    """`hft train` on the workload. Lightning tells a callback when a step has ended."""
    import hft

    hft.train(hft.compose(workload.overrides(*overrides, *_handing_over(baton))))


def _handing_over(baton: Baton) -> list[str]:
    """Adds the callback to the trainer, as a user adds one; it finds the baton in its module."""
    import step_callback

    step_callback.baton = baton
    return ["+trainer.callbacks=[{_target_: step_callback.StepCallback}]"]


def sentence_transformers_side(
    baton: Baton, workload: Workload, batch_size: int, bf16: bool, device: str = "cpu", workers: int = 0
) -> None:
    """SentenceTransformerTrainer with its defaults but for batch size, precision and workers that tokenise.

    Each row is one query, one positive and nine negatives; tokens, padding, shuffling, optimizer (AdamW, fused where it
    can be), clipping and dropout are the trainer's own.
    """
    from datasets import Dataset
    from listed_negatives import ListedNegativesLoss
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from transformers import TrainerCallback

    class HandOver(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            baton.step_done(batch_size)

    model = SentenceTransformer(str(workload.model), device=device, local_files_only=True)
    model.max_seq_length = workload.max_length
    columns = ["query", "positive", *(f"negative_{number}" for number in range(1, RESULTS))]
    rows = workload.texts() * EPOCH_REPEATS
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(workload.folder / f"sentence_transformers_{batch_size}_{bf16}"),
        per_device_train_batch_size=batch_size,
        bf16=bf16,
        use_cpu=device == "cpu",
        dataloader_num_workers=workers,
        dataloader_persistent_workers=workers > 0,
        num_train_epochs=1000,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    SentenceTransformerTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict({name: [row[place] for row in rows] for place, name in enumerate(columns)}),
        loss=ListedNegativesLoss(model, scale=1.0 / TEMPERATURE),
        callbacks=[HandOver()],
    ).train()


def reference_side(baton: Baton, workload: Workload, padded_to: int) -> None:
    """The reference system's way: a session a step, every text padded to one length, float32, AdamW."""
    import torch
    from torch.nn import functional
    from transformers import AutoModel, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(workload.model, local_files_only=True)
    encoder: Any = AutoModel.from_pretrained(workload.model, local_files_only=True, dtype=torch.float32)
    encoder.train()
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-4)
    rows = workload.texts()
    tokenizer.model_max_length = workload.max_length
    for number in itertools.count():
        texts = rows[number % len(rows)]
        cut = tokenizer(texts, truncation=True, max_length=workload.max_length)
        batch = tokenizer.pad(cut, padding="max_length", max_length=padded_to, return_tensors="pt")
        hidden = encoder(**batch).last_hidden_state
        mask = batch["attention_mask"][..., None]
        vectors = functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
        scores = vectors[:1] @ vectors[1:].T / TEMPERATURE
        loss = functional.cross_entropy(scores, torch.zeros(1, dtype=torch.long))
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        baton.step_done(1)


def matmul_side(baton: Baton, size: int, device: str) -> None:
    """One square bf16 matrix product after another; a step is a product."""
    import torch

    torch.manual_seed(0)
    left, right = (torch.randn(size, size, device=device).to(torch.bfloat16) for _ in range(2))
    product = torch.empty(size, size, dtype=torch.bfloat16, device=device)
    with torch.inference_mode():
        while True:
            torch.mm(left, right, out=product)
            baton.step_done(1)
