from __future__ import annotations

from pathlib import Path

import pytest

from hft.errors import ConfigError
from hft.models import load_text_model
from hft.settings import FineTuningParams
from hft.techniques import FullFineTuning


def test_full_fine_tuning_moves_every_weight_that_is_used(tiny_bert: Path) -> None:
    model = load_text_model(str(tiny_bert))
    FullFineTuning().apply(model, FineTuningParams())
    fixed = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert all(".pooler." in name for name in fixed)


def test_num_fixed_layers_fixes_the_embeddings_and_the_first_layers(tiny_bert: Path) -> None:
    model = load_text_model(str(tiny_bert))
    FullFineTuning().apply(model, FineTuningParams(num_fixed_layers=1))
    moving = {name.split(".layer.")[-1][0] for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert moving == {"1"}


def test_fixing_everything_is_refused_unless_a_head_still_moves(tiny_bert: Path) -> None:
    everything = FineTuningParams(num_fixed_layers=2)
    with pytest.raises(ConfigError, match=r"params\.num_fixed_layers=2 fixes the whole model"):
        FullFineTuning().apply(load_text_model(str(tiny_bert)), everything)
    FullFineTuning().apply(load_text_model(str(tiny_bert), dense_dim=4), everything)
