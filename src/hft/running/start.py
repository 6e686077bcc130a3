"""What a run starts from: its data, its model, its tokens. The trials of one process share them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.utils import instantiate
from omegaconf import DictConfig

from hft.running.assembly import data_options, load_start, parent_of
from hft.running.kept import store_folder
from hft.running.shared import copy_of_model, is_copy, key_of, shared_parts, spare_what_stays
from hft.running.surroundings import Surroundings
from hft.running.texts import declared_by, differ, seen_by, source_of, texts_of_start

if TYPE_CHECKING:
    from hft.data import RankingData
    from hft.data.text_declaration import TextDeclaration
    from hft.experiments import RunRecord
    from hft.methods import FineTuningMethod
    from hft.models import TextTower
    from hft.training import Validator
    from hft.training.activations import LayerHashes
    from hft.training.evaluation import Vectors


class Start:
    """Makes what a run starts from, or takes what an earlier trial of this process made.

    Args:
        config: the run's.
        surroundings: whose seed is set.
        shares: whether parts are shared within this process.

    Attributes:
        parent: id of the run whose tuned model `model` gave; None where it is the model group's.
    """

    def __init__(self, config: DictConfig, surroundings: Surroundings, *, shares: bool) -> None:
        self.config = config
        self.surroundings = surroundings
        self.shares = shares
        self.parent: str | None = None
        self._pristine: Any = None
        self._compared: tuple[object, bool] | None = None
        self._data: RankingData | None = None

    def data(self, method: FineTuningMethod, quarantine: Path) -> RankingData:
        """The data of the config, ready for training and evaluation.

        Args:
            method: prepares it.
            quarantine: where malformed lines are kept; shared data has them where they were read first.
        """

        def make() -> RankingData:
            source, splitter = source_of(self.config, self.texts), instantiate(self.config.data.splitter)
            return method.prepare(source, splitter, **data_options(self.config, quarantine, self.surroundings.say))

        found: RankingData = self._part("data", self._data_key, make)
        self._data = found
        return found

    @property
    def declared(self) -> TextDeclaration | None:
        """What makes the texts of the data; None: nobody says, or no data was prepared."""
        return None if self._data is None else declared_by(self.config, self.texts, self._data)

    def tokens_of_start(self, method: FineTuningMethod, model: Any, tokens: Any) -> Any:
        """The texts of the data as the starting model knows them, where it declares others than the run's.

        Args:
            method: tokenises.
            model: that the run starts from.
            tokens: of the run's texts.
        """
        if self._data is None or self.texts is None or not differ(self.texts, self.declared):
            return tokens
        self.surroundings.say(f"the starting model is measured by its own texts, {self.texts.in_words()}")
        seen = seen_by(self._data, source_of(self.config, self.texts), self.texts, self.declared)
        return method.tokenize(model, seen, store_folder(self.config, "tokens", self.surroundings.say))

    def model(self) -> Any:
        """The model group's model, or the tuned model of the run that the iteration starts from; the caller's own.

        What comes after it draws random numbers as if nothing had been drawn before.
        """
        parent = self._parent
        self.parent = None if parent is None else parent.run_id
        self.surroundings.seed_everything()
        model = self._part("model", self._model_key, lambda: load_start(self.config, parent))
        if self.shares:
            spare_what_stays()
            self._pristine, model = model, copy_of_model(model)
        self.surroundings.seed_everything()
        return model

    def tokens(self, method: FineTuningMethod, model: Any, data: RankingData) -> Any:
        """The texts of the data as the model's tokens."""
        folder = store_folder(self.config, "tokens", self.surroundings.say)
        found = self._part("tokens", self._data_key + self._model_key, lambda: method.tokenize(model, data, folder))
        method.prepare_model(model, found)
        return found

    def validation_vectors(
        self, validator: Validator, model: Any, *computed_with: str
    ) -> tuple[Vectors, Vectors] | None:
        """The starting model's vectors for validation, where trials may share them; None: they may not.

        Args:
            validator: of the run.
            model: as training begins with it; one that a technique has added to or changed is a trial's own.
            computed_with: device, precision, and what else decides the last bits.
        """
        if not self._is_untouched(model):
            return None
        rows = hashlib.sha256(validator.evaluator.item_rows.tobytes()).hexdigest()
        key = "".join((self._data_key, self._model_key, rows, *computed_with))

        def make() -> tuple[Vectors, Vectors]:
            with self.vectors_kept(model):
                return validator.vectors(model)

        found: tuple[Vectors, Vectors] = self._part("vectors", key, make)
        return found

    def vectors_kept(self, model: Any) -> AbstractContextManager[None]:
        """Inside the block the vectors of the starting model are read where they are kept, and kept where not.

        Args:
            model: as training begins with it, on the device to compute on.
        """
        from hft.models import TextEmbeddingModel
        from hft.training.kept_vectors import KeptVectors, is_told_by_weights, vectors_kept

        folder = store_folder(self.config, "activations", self.surroundings.say)
        if folder is None or not isinstance(model, TextEmbeddingModel) or not is_told_by_weights(model):
            return nullcontext()
        return vectors_kept(KeptVectors(folder, model, self.surroundings.precision, self.surroundings.compute))

    def layer_hashes(self, model: Any, tower: TextTower) -> LayerHashes:
        """Hashes of a tower's weights; those that a technique left as they were loaded are hashed once a process.

        Args:
            model: that the tower is of, before its training.
            tower: one of its towers.
        """
        from hft.training.activations import layer_hashes

        if not self._is_untouched(model):
            return layer_hashes(tower)
        key = f"{self._model_key}{model.towers.index(tower)}"
        found: LayerHashes = self._part("hashes", key, lambda: layer_hashes(tower))
        return found

    def _is_untouched(self, model: Any) -> bool:
        """Whether a model is as it was loaded. Before training, for a fused optimizer writes unseen; then it is looked
        at once, which reads all weights, for as long as nothing is written to them."""
        if self._pristine is None:
            return False
        state = [id(model), *((one.data_ptr(), one._version) for one in model.parameters())]
        if self._compared is None or self._compared[0] != state:
            self._compared = state, is_copy(model, self._pristine)
        return self._compared[1]

    @cached_property
    def _parent(self) -> RunRecord | None:
        return parent_of(self.config)

    @cached_property
    def texts(self) -> TextDeclaration | None:
        """What the model that the run starts from declares of its texts; None: nothing."""
        return texts_of_start(self.config, self._parent)

    @property
    def _data_key(self) -> str:
        texts = None if self.texts is None else self.texts.to_plain()
        return key_of(self.config, "data", "method", "seed", texts=texts)

    @property
    def _model_key(self) -> str:
        return key_of(self.config, "model", "seed", parent=self.parent)

    def _part(self, kind: str, key: str, make: Callable[[], Any]) -> Any:
        return shared_parts.get(kind, key, make) if self.shares else make()
