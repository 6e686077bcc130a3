"""Claim: a trial, after the first, takes less than 0.3 s beside its training steps, evaluation and the model's writing;
and the memory is flat over 50 trials.

    python benchmarks/trial_overhead.py [trials] [steps] [model folder]

Trains the default job (its data, model and tracking store; shortened to `steps` steps, a validation at their end) as
trials of a search and in a bare Python loop over the same trainings, in turn. Both sides must end with the same
weights. For each side it prints the median seconds a trial in all and beside steps, evaluation and writing, wall clock
and CPU time of the process, and then the resident memory (and the GPU's, where there is one) over 50 trials of a
two-layer model.
Run it on an idle machine: a busy one stretches the wall clock.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

import hft
from hft.models import TextEmbeddingModel
from hft.running import Surroundings, Trial, params_of, parts_of, settings_of, train_trial
from hft.running.shared import shared_parts
from hft.running.start import Start
from hft.training import EmbeddingsFineTuner, Validator
from hft.training.finetuner import parameter_groups, schedule, set_training_mode
from hft.training.pairs import stage_of_epoch
from hft.training.ranks import pair_features, select_pairs

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from tiny_models import build_tiny_bert

MEMORY_TRIALS = 50


class Clock:
    """Wall clock and CPU seconds of the work that a training cannot do without."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0
        self._depth = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Counts the block; blocks within it are counted once."""
        self._depth += 1
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self.wall += time.perf_counter() - wall
                self.cpu += time.process_time() - cpu


clock = Clock()


def count(owner: type, name: str) -> None:
    """Has the clock run while a method does."""
    method: Callable[..., Any] = getattr(owner, name)

    def counted(*args: Any, **options: Any) -> Any:
        with clock.running():
            return method(*args, **options)

    setattr(owner, name, counted)


def bare_training(config: DictConfig, start: Start, folder: Path) -> None:
    """The same training as a loop: no Lightning, no record, no store. Its model is written as the trial's is."""
    method, params, settings = instantiate(config.method), params_of(config), settings_of(config)
    data = start.data(method, folder / "quarantine.jsonl")
    model = start.model()
    instantiate(config.technique).apply(model, params)
    texts = start.tokens(method, model, data)
    model.to(start.surroundings.accelerator)
    precision = start.surroundings.precision
    module = method.build(model, texts, settings, params, **parts_of(config, precision))
    validator = module.validator
    vectors = start.validation_vectors(validator, model, start.surroundings.accelerator, precision)
    best = validator(model, vectors=vectors)[f"validation_{method.main_metric}"]
    kept = {name: value.detach().cpu().clone() for name, value in model.named_parameters()}
    loader, steps = module.train_dataloader(), config.trainer.limit_train_batches
    optimizer = module.make_optimizer(parameter_groups(model, params))
    rates = schedule(module.make_scheduler, optimizer, steps)
    set_training_mode(model)
    device = torch.device(start.surroundings.accelerator)
    for _, batch in zip(range(steps), loader, strict=False):
        with clock.running():
            # As Lightning has it: a weight's gradients from both sides add up in float32.
            with torch.autocast(device.type, torch.bfloat16, precision.startswith("bf16"), cache_enabled=False):
                loss = loss_of(module, batch.to(device))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.trainer.gradient_clip_val)
            optimizer.step()
            optimizer.zero_grad()
        rates.step()
    if validator(model)[f"validation_{method.main_metric}"] <= best:
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(kept[name])
    model.to("cpu").save(folder / "model")


def loss_of(module: EmbeddingsFineTuner, batch: Any) -> torch.Tensor:
    """The loss of one batch."""
    settings, params = module.settings, module.params
    queries, items = module.model.embed(batch.queries, "query"), module.model.embed(batch.items, "items")
    sign, margin = settings.rank_sign, params.margin
    features = pair_features(settings.ranker, queries, items, batch.pairs, sign=sign, margin=margin)
    loss: torch.Tensor = settings.loss_func(
        select_pairs(features, params, stage_of_epoch(params.examples_order, 0, settings.num_epochs))
    )
    return loss


def timed(call: Callable[[], object]) -> tuple[float, float, float]:
    """(wall seconds in all, wall seconds and CPU seconds beside what the clock counts)."""
    clock.wall = clock.cpu = 0.0
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return wall, wall - clock.wall, cpu - clock.cpu


def compare(trials: int, steps: int, model: list[str], root: Path) -> None:
    """Both sides in turn; the first trial, which prepares what the others share, is left out."""
    common = [f"+trainer.limit_train_batches={steps}", "settings.test_each_n_inputs=1.0", *model]
    found: dict[str, list[tuple[float, float, float]]] = {"trial": [], "bare loop": []}
    equal = True
    for number in range(trials + 1):
        overrides = [*common, f"params.items_lr={number + 1}e-5"]
        folders = {side: root / "outputs" / "sweeps" / side.split()[0] / str(number) for side in found}
        told: list[float] = []
        trial = Trial(number, "sweeps/trial", report=lambda value, ordinal, told=told: told.append(value))

        def search(folder: Path = folders["trial"], asked: list[str] = overrides, trial: Trial = trial) -> None:
            train_trial(hft.compose(asked), trial, folder=folder, overrides=asked)

        config = hft.compose(overrides)
        surroundings = Surroundings.of(config)

        def loop(
            folder: Path = folders["bare loop"], config: DictConfig = config, s: Surroundings = surroundings
        ) -> None:
            with s.applied():
                bare_training(config, Start(config, s, shares=True), folder)

        for side, call in (("trial", search), ("bare loop", loop)):
            seconds = timed(call)
            if number:
                found[side].append(seconds)
        files = [next((folder / "model").rglob("model.safetensors")) for folder in folders.values()]
        equal = equal and files[0].read_bytes() == files[1].read_bytes()
    print(f"{trials} trials of {steps} steps; the same weights on both sides: {'yes' if equal else 'NO'}")
    print(f"{'':10}  {'wall s':>8}  {'beside: wall s':>14}  {'beside: CPU s':>13}")
    medians = {side: [statistics.median(part) for part in zip(*rows, strict=True)] for side, rows in found.items()}
    for side, (total, wall, cpu) in medians.items():
        print(f"{side:10}  {total:8.3f}  {wall:14.3f}  {cpu:13.3f}")
    over = [medians["trial"][part] - medians["bare loop"][part] for part in (1, 2)]
    print(f"a trial's overhead over the bare loop: {over[0]:.3f} s of wall clock, {over[1]:.3f} s of CPU")


def memory(root: Path) -> None:
    """Resident memory after some of 50 trials of a two-layer model."""
    shared_parts.clear()
    model = ["model=local", f"model.source={build_tiny_bert(root / 'tiny')}", "model.max_length=64"]
    common = ["+trainer.limit_train_batches=2", "data.limit_sessions=100", "data.limit_items=200", *model]
    print("memory over 50 trials of a two-layer model, MiB")
    for number in range(1, MEMORY_TRIALS + 1):
        overrides = [*common, f"params.items_lr={number}e-5"]
        trial = Trial(number, "sweeps/memory")
        train_trial(hft.compose(overrides), trial, folder=root / "outputs" / "sweeps" / "memory" / str(number))
        if number in (5, 10, 20, 30, 40, 50):
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            gpu = f", GPU {torch.cuda.memory_allocated() / 2**20:.1f}" if torch.cuda.is_available() else ""
            print(f"  after {number:2}: {pages * os.sysconf('SC_PAGE_SIZE') / 2**20:.1f}{gpu}")


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    model = (
        ["model=local", f"model.source={Path(sys.argv[3]).resolve()}", "model.max_length=64"]
        if len(sys.argv) > 3
        else []
    )
    for owner, name in (
        (EmbeddingsFineTuner, "optimizer_step"),
        (Validator, "__call__"),
        (TextEmbeddingModel, "save"),
    ):
        count(owner, name)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        compare(trials, steps, model, Path(folder))
        memory(Path(folder))
        os.chdir("/")


if __name__ == "__main__":
    main()
