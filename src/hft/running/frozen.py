"""What fixed layers give is computed once: for all epochs and evaluations of a run, for later trials and runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf

from hft.errors import StorageError
from hft.models import TextTower
from hft.running.assembly import validation_interval
from hft.running.trial import Trial
from hft.stores import StoreFolder, digest
from hft.training.activations import (
    ActivationStore,
    Cut,
    LayerHashes,
    TextRows,
    TextUse,
    Work,
    cut_of,
    decide,
    entry_key,
    kept_dtype,
    publish,
    segment_bytes,
    why_not_kept,
)

__all__ = ["FrozenLayers", "Schedule", "schedule_of"]

# Of the trials to come, one in so many is taken to fix the same layers or more.
TRIALS_A_CUT = 3
# Of a sweep whose length is not known.
SWEEP_TRAININGS = 2


@dataclass(frozen=True)
class Schedule:
    """How often a run goes through its texts.

    Args:
        epochs: over the training sessions; a share of one where steps are limited.
        validations: of the validation split.
        tests: looks at the test split.
        trainings: like this one, this one in.
    """

    epochs: float
    validations: int
    tests: int
    trainings: int


@dataclass(frozen=True)
class FrozenLayers:
    """Gives the towers of a model what their fixed layers give for the texts of a run.

    Args:
        folder: of the stores.
        mode: `stores.activations`: `auto`, or true for whatever it costs.
        precision: Lightning's word.
        say: takes the line that says what was decided.
        hashes: of a tower's weights.
        progress: begins a count of texts on the terminal.
    """

    folder: StoreFolder
    mode: Literal["auto"] | bool
    precision: str
    say: Callable[[str], object]
    hashes: Callable[[TextTower], LayerHashes]
    progress: Callable[[], AbstractContextManager[Callable[[int], None]]]

    @contextmanager
    def kept(self, model: Any, uses: Callable[[], Sequence[TextUse]], schedule: Schedule) -> Iterator[None]:
        """Inside the block the towers read what is kept; fixed weights may not change there.

        Args:
            model: with the weights that move already chosen, on the device to compute on.
            uses: gives the texts that the run embeds; asked only where layers are fixed.
            schedule: how often.
        """
        try:
            for tower in model.towers:
                cut = cut_of(tower) if isinstance(tower, TextTower) else None
                if cut is not None:
                    tower.activations = self._of_tower(model, tower, cut, uses, schedule)
            yield
        finally:
            for tower in model.towers:
                tower.activations = None

    def _of_tower(
        self,
        model: Any,
        tower: TextTower,
        cut: Cut,
        uses: Callable[[], Sequence[TextUse]],
        schedule: Schedule,
    ) -> ActivationStore | None:
        # Here, so that what a run embeds is let go of before it trains.
        own = [use for use in uses() if model.tower(use.side) is tower]
        return self._store(model, tower, cut, own, schedule) if own else None

    def _store(
        self, model: Any, tower: TextTower, cut: Cut, uses: Sequence[TextUse], schedule: Schedule
    ) -> ActivationStore | None:
        hashes = self.hashes(tower)
        key = self._key(tower, hashes, cut)
        if key is None:
            return None
        store = self._read(key, cut)
        texts = [use.texts for use in uses]
        missing = _missing(texts, store)
        earlier = None if not missing else self._earlier(tower, hashes, cut, texts)
        work = self._work(tower, cut, uses, texts, missing, earlier, schedule)
        decision = decide(work, self.mode)
        is_read = decision.keeps or earlier is not None or len(store) > 0
        problem = why_not_kept(model, tower, cut, self.precision) if is_read else ""
        if problem:
            self.say(f"What fixed layers give is not kept: {problem}.")
            return None
        self.say(decision.line.format(folder=self.folder.root))
        if decision.keeps and self._complete(tower, texts, cut, key, earlier):
            return self._read(key, cut)
        return store if earlier is None else earlier

    def _key(self, tower: TextTower, hashes: LayerHashes, cut: Cut) -> str | None:
        return entry_key(tower, hashes, cut.layers, is_pooled=cut.is_pooled, precision=self.precision)

    def _read(self, key: str, cut: Cut) -> ActivationStore:
        return ActivationStore.read(self.folder, key, cut.layers, is_pooled=cut.is_pooled)

    def _earlier(
        self, tower: TextTower, hashes: LayerHashes, cut: Cut, texts: Sequence[TextRows]
    ) -> ActivationStore | None:
        """What the most of the layers before the cut give, where it is kept for all texts."""
        for layers in range(cut.layers - 1, 0, -1):
            key = self._key(tower, hashes, Cut(layers, cut.of))
            store = None if key is None else self._read(key, Cut(layers, cut.of))
            if store is not None and len(store) and not any(len(some.without(store)) for some in texts):
                return store
        return None

    def _work(
        self,
        tower: TextTower,
        cut: Cut,
        uses: Sequence[TextUse],
        texts: Sequence[TextRows],
        missing: Sequence[TextRows],
        earlier: ActivationStore | None,
        schedule: Schedule,
    ) -> Work:
        return Work(
            layers=cut.of,
            cut=cut.layers,
            texts=sum(map(len, texts)),
            missing_texts=sum(map(len, missing)),
            missing_tokens=sum(part.tokens for part in missing),
            held_cut=0 if earlier is None else earlier.cut,
            trained=sum(use.tokens(use.trained) for use in uses),
            validated=sum(use.tokens(use.validated) for use in uses),
            tested=sum(use.tokens(use.tested) for use in uses),
            epochs=schedule.epochs,
            validations=schedule.validations,
            tests=schedule.tests,
            uses=schedule.trainings,
            nbytes=self._nbytes(tower, cut, missing),
        )

    def _nbytes(self, tower: TextTower, cut: Cut, missing: Sequence[TextRows]) -> int:
        texts = sum(map(len, missing))
        rows = texts if cut.is_pooled else sum(part.tokens for part in missing)
        return segment_bytes(texts, rows, tower.width, kept_dtype(cut, self.precision))

    def _complete(
        self, tower: TextTower, texts: Sequence[TextRows], cut: Cut, key: str, earlier: ActivationStore | None
    ) -> bool:
        """Keeps what is missing, but for what another process has kept while this one waited; whether all is there."""
        with ActivationStore.computing(self.folder, key, digest(*(part.key for part in texts))):
            missing = _missing(texts, self._read(key, cut))
            if not missing:
                return True
            has_room = self._has_room(self._nbytes(tower, cut, missing))
            return has_room and self._publish(tower, missing, cut, key, earlier)

    def _has_room(self, nbytes: int) -> bool:
        if self.folder.make_room(nbytes):
            return True
        self.say(
            f"{self.folder.root}: no room for the {nbytes / 1e6:,.0f} MB that fixed layers give: it is computed "
            "at every step. A larger stores.disk_budget, or a larger disk, would keep them."
        )
        return False

    def _publish(
        self, tower: TextTower, missing: Sequence[TextRows], cut: Cut, key: str, earlier: ActivationStore | None
    ) -> bool:
        try:
            with self.progress() as progress:
                for texts in missing:
                    options: dict[str, Any] = {"precision": self.precision, "earlier": earlier, "progress": progress}
                    publish(tower, texts, cut, self.folder, key, **options)
        except StorageError as error:
            self.say(str(error))
            return False
        return True


def _missing(texts: Sequence[TextRows], store: ActivationStore) -> list[TextRows]:
    return [part for part in (some.without(store) for some in texts) if len(part)]


def schedule_of(config: DictConfig, texts: Any, trial: Trial | None) -> Schedule:
    """What a config asks for, about: training may stop early.

    Args:
        config: of the run.
        texts: as the method's `tokenize` gave them.
        trial: where the run is one of a sweep's.
    """
    settings = config.settings
    batches = max(1, -(-len(texts.data.train) // settings.batch_size))
    limit = config.trainer.get("limit_train_batches")
    if limit is None:
        limit = 1.0
    steps = min(limit, batches) if isinstance(limit, int) else limit * batches
    interval = validation_interval(settings.test_each_n_inputs, settings.batch_size, batches)
    epochs = settings.num_epochs * steps / batches
    most = config.trainer.get("max_steps") or -1
    if most >= 0:  # optimizer steps
        batches_a_step = config.trainer.get("accumulate_grad_batches") or 1
        epochs = min(epochs, most * batches_a_step / batches)
    is_search = trial is not None and trial.is_search
    validations = 1 + max(1, int(settings.num_epochs * steps / interval))
    return Schedule(epochs, validations, 0 if is_search else 2, _trainings(config, trial))


def _trainings(config: DictConfig, trial: Trial | None) -> int:
    """How many trainings of a sweep, this one in, are likely to read what this one keeps."""
    if trial is None or trial.number is None:
        return 1
    most = OmegaConf.select(config, "search.max_evals")
    if not trial.is_search or most is None:
        return SWEEP_TRAININGS
    return max(1, -(-(int(most) - trial.number) // TRIALS_A_CUT))
