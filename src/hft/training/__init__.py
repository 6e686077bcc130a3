"""Training: token store, session batches, ranks, the Lightning module and what happens beside its steps."""

from __future__ import annotations

from hft.training.augmented_texts import AugmentedTexts
from hft.training.batching import EpochSampler, SessionBatch, SessionCollator, session_loader
from hft.training.callbacks import BestWeights, StepLog, ValidationReport
from hft.training.checkpoint_folder import CheckpointFolder
from hft.training.checkpoints import Checkpoints, SavedPoint, last_saved
from hft.training.evaluation import Evaluation, EvaluationArrays, Evaluator, inference
from hft.training.finetuner import EmbeddingsFineTuner
from hft.training.hard_negatives import HardNegativeMiner, HardNegativeMining
from hft.training.hardware import resolve_accelerator, resolve_precision
from hft.training.pairs import ExamplesType, PairPlanner
from hft.training.parts import ItemParts
from hft.training.picture_store import PictureStore
from hft.training.resume import ResumePoint
from hft.training.schedulers import constant_rate, cosine_warmup, linear_warmup
from hft.training.sessions import SessionArrays
from hft.training.token_store import TokenStore
from hft.training.validation import Validator

__all__ = [
    "AugmentedTexts",
    "BestWeights",
    "CheckpointFolder",
    "Checkpoints",
    "EmbeddingsFineTuner",
    "EpochSampler",
    "Evaluation",
    "EvaluationArrays",
    "Evaluator",
    "ExamplesType",
    "HardNegativeMiner",
    "HardNegativeMining",
    "ItemParts",
    "PairPlanner",
    "PictureStore",
    "ResumePoint",
    "SavedPoint",
    "SessionArrays",
    "SessionBatch",
    "SessionCollator",
    "StepLog",
    "TokenStore",
    "ValidationReport",
    "Validator",
    "constant_rate",
    "cosine_warmup",
    "inference",
    "last_saved",
    "linear_warmup",
    "resolve_accelerator",
    "resolve_precision",
    "session_loader",
]
