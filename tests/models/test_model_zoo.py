"""Every word of a model folder is honoured as sentence-transformers honours it, or refused by file, key and value."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hft.errors import ConfigError, ModelError
from hft.models import CosineRanker, DotRanker, load_saved_model, load_text_model
from hft.models.rankers import settle_similarity
from model_zoo import ARCHITECTURES, build_encoder, change, sentence_folder, spoken
from tolerances import rounding

QUERIES = ["which films were shown", "Path Of A File", "x"]
ITEMS = ["Returns the absolute path of a file.", "a list of numbers " * 20 + "server waits", ""]
PROMPTS = {"query": "which films: ", "document": "message "}
# Two layers of six products, and two more behind them; the longest sums are over 64 numbers.
SAME = rounding(terms=64, sums=14)

Vectors = tuple[np.ndarray, np.ndarray]
Said = Callable[[Path], object]


def theirs(folder: Path) -> Vectors:
    """What sentence-transformers gives each text by itself: padding on the left moves a text's positions there."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    return (
        np.stack([model.encode_query(text) for text in QUERIES]),
        np.stack([model.encode_document(text) for text in ITEMS]),
    )


def ours(folder: Path) -> Vectors:
    return vectors_of(load_saved_model(folder))


def vectors_of(model: Any) -> Vectors:
    return model.encode(QUERIES, "query"), model.encode(ITEMS, "items")


def assert_same(found: Vectors, wanted: Vectors) -> None:
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=SAME * np.abs(other).max())


def differ(found: Vectors, wanted: Vectors) -> bool:
    return any(
        one.shape != other.shape or np.abs(one - other).max() > 100 * SAME
        for one, other in zip(found, wanted, strict=True)
    )


def assert_honoured(folder: Path, saved: Path) -> Vectors:
    """Vectors of a folder, the same by both, and again of what hft saves of it."""
    wanted, model = theirs(folder), load_saved_model(folder)
    assert_same(vectors_of(model), wanted)
    model.save(saved)
    assert_same(theirs(saved), wanted)
    assert_same(ours(saved), wanted)
    return wanted


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_encoders_of_every_architecture_give_the_same_vectors(architecture: str, tmp_path: Path) -> None:
    folder = sentence_folder(tmp_path / "theirs", build_encoder(tmp_path / "encoder", architecture))
    if architecture == "convbert":
        with pytest.raises(ModelError, match="ConvBertModel gives a text change with the padding"):
            load_saved_model(folder)
        return
    assert_honoured(folder, tmp_path / "ours")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_encoder(tmp_path_factory.mktemp("zoo") / "encoder", "bert")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> tuple[Path, Vectors]:
    """A folder with a prompt a side, and its vectors."""
    folder = sentence_folder(tmp_path_factory.mktemp("zoo") / "base", encoder, prompts=PROMPTS)
    return folder, theirs(folder)


def bert_config(**said: Any) -> Said:
    return lambda folder: change(folder / "sentence_bert_config.json", **said)


def pooling_config(**said: Any) -> Said:
    flags = {"pooling_mode": ...} if any(key.startswith("pooling_mode_") for key in said) else {}
    return lambda folder: change(folder / "1_Pooling" / "config.json", **flags, **said)


def model_config(**said: Any) -> Said:
    return lambda folder: change(folder / "config_sentence_transformers.json", **said)


def tokenizer_config(**said: Any) -> Said:
    return lambda folder: change(folder / "tokenizer_config.json", **said)


def both(*said: Said) -> Said:
    return lambda folder: [one(folder) for one in said]


def older_name(name: str, **said: Any) -> Said:
    """The older releases named the file after the architecture, and knew fewer keys."""

    def rename(folder: Path) -> None:
        (folder / "sentence_bert_config.json").unlink()
        (folder / f"sentence_{name}_config.json").write_text(json.dumps(said))

    return rename


TEXT = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
POOLER = {"text": {"method": "forward", "method_output_name": "pooler_output"}}


def cased(folder: Path) -> None:
    """A tokenizer that leaves upper case alone."""
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    content["normalizer"]["lowercase"] = False
    file.write_text(json.dumps(content))


def without_pooling(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps(modules[:1]))


def numbered_backwards(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    for entry, number in zip(modules, (9, 3), strict=True):
        entry["idx"] = number
    (folder / "modules.json").write_text(json.dumps(modules))


# What changes the vectors, by file and key.
TELLING: dict[str, Said] = {
    "bert.max_seq_length": bert_config(max_seq_length=12),
    **{
        f"bert.max_seq_length in {name}": older_name(name, max_seq_length=12)
        for name in ("roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
    },
    "bert.processor_kwargs": bert_config(processor_kwargs={"model_max_length": 10, "truncation_side": "left"}),
    "bert.tokenizer_args": bert_config(tokenizer_args={"model_max_length": 11}),
    "bert.processing_kwargs": bert_config(processing_kwargs={"text": {"max_length": 9, "padding": "max_length"}}),
    "bert.config_kwargs": bert_config(config_kwargs={"num_hidden_layers": 1}),
    "bert.config_args": bert_config(config_args={"layer_norm_eps": 0.3, "use_cache": False}),
    "bert.modality_config": both(
        without_pooling, bert_config(modality_config=POOLER, module_output_name="sentence_embedding")
    ),
    "tokenizer.model_max_length": tokenizer_config(model_max_length=12),
    "tokenizer.truncation_side": both(
        tokenizer_config(truncation_side="left"), tokenizer_config(model_max_length=12)
    ),
    "pooling.include_prompt": pooling_config(include_prompt=False),
    **{
        f"pooling.pooling_mode={mode}": pooling_config(pooling_mode=mode)
        for mode in ("cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
    },
    "pooling.pooling_mode=[max, cls]": pooling_config(pooling_mode=["max", "cls"]),
    **{
        f"pooling.{flag}": pooling_config(**{flag: True})
        for flag in (
            "pooling_mode_cls_token", "pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens",
            "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken",
        )
    },
    "pooling.pooling_mode_mean_tokens": pooling_config(pooling_mode_mean_tokens=True, pooling_mode_cls_token=True),
    **{
        f"pooling.include_prompt with {mode}": pooling_config(include_prompt=False, pooling_mode=mode)
        for mode in ("cls", "max", "mean_sqrt_len_tokens", "weightedmean")
    },
    "model.prompts": model_config(prompts={"query": "server ", "document": None}),
    "model.truncate_dim": model_config(truncate_dim=7),
}  # fmt: skip
# What changes none of them: how it is computed, who made it, what the call says anyway.
SILENT: dict[str, Said] = {
    "bert.do_lower_case": both(cased, bert_config(do_lower_case=True)),
    "bert.do_lower_case in albert": both(cased, older_name("albert", do_lower_case=True)),
    "bert.max_seq_length of a file that comes later": both(
        bert_config(max_seq_length=64), lambda folder: change(folder / "sentence_xlnet_config.json", max_seq_length=9)
    ),
    "bert.transformer_task": bert_config(transformer_task="feature-extraction"),
    "bert.module_output_name": bert_config(modality_config=TEXT, module_output_name="token_embeddings"),
    "bert.model_kwargs": bert_config(model_kwargs={"attn_implementation": "eager", "trust_remote_code": True}),
    "bert.model_args": bert_config(model_args={"add_pooling_layer": False}),
    "bert.unpad_inputs": bert_config(unpad_inputs=False),
    "bert.backend": bert_config(backend="onnx"),
    "bert.cache_dir": bert_config(cache_dir=None),
    "bert.query_length": bert_config(query_length=None, document_length=None, query_expansion=None),
    "bert.tokenizer_name_or_path": bert_config(tokenizer_name_or_path=None),
    "tokenizer.padding_side": tokenizer_config(padding_side="left"),
    "pooling.embedding_dimension": pooling_config(embedding_dimension=5),
    "pooling.word_embedding_dimension": pooling_config(embedding_dimension=..., word_embedding_dimension=32),
    "model.similarity_fn_name": model_config(similarity_fn_name="dot"),
    "model.default_prompt_name": model_config(default_prompt_name="query"),
    "model.model_type": model_config(model_type="SentenceTransformer"),
    "model.requirements": model_config(requirements={"torch": ">=1", "python": {"specifier": ">=3"}}),
    "model.__version__": model_config(__version__={"sentence_transformers": "2.0.0"}),
    "model.a key that nobody knows": model_config(colour="blue"),
    "modules.idx": numbered_backwards,
}
# What hft does not do, with what its message names beside the file.
REFUSED: dict[str, tuple[Said, str]] = {
    "bert.query_length": (bert_config(query_length=8), r"sentence_bert_config\.json: query_length=8.*null"),
    "bert.document_length": (bert_config(document_length=8), "document_length=8"),
    "bert.query_expansion": (bert_config(query_expansion={"strategy": "fixed", "length": 8}), "query_expansion="),
    "bert.transformer_task": (bert_config(transformer_task="fill-mask"), 'transformer_task="fill-mask"'),
    "bert.tokenizer_name_or_path": (bert_config(tokenizer_name_or_path="/elsewhere"), "tokenizer_name_or_path="),
    "bert.modality_config": (
        bert_config(
            modality_config={**TEXT, "message": {**TEXT["text"], "format": "flat"}},
            module_output_name="token_embeddings",
        ),
        "modality_config=",
    ),
    "bert.modality_config of hidden states": (
        bert_config(
            modality_config={"text": {"method": "forward", "method_output_name": ["hidden_states", -2]}},
            module_output_name="token_embeddings",
        ),
        "method_output_name=",
    ),
    "bert.module_output_name": (bert_config(modality_config=TEXT, module_output_name=...), "module_output_name"),
    "bert.processing_kwargs.truncation": (
        bert_config(processing_kwargs={"text": {"truncation": False}}), r"processing_kwargs\.text\.truncation=false",
    ),
    "bert.processing_kwargs.common": (
        bert_config(processing_kwargs={"common": {"stride": 3}}), r"processing_kwargs\.text\.stride=3",
    ),
    "bert.model_kwargs": (bert_config(model_kwargs={"load_in_8bit": True}), r"model_kwargs\.load_in_8bit=true"),
    "bert.processor_kwargs": (
        bert_config(processor_kwargs={"vocab_file": "/etc/passwd"}), r"processor_kwargs\.vocab_file=",
    ),
    "bert.config_kwargs": (bert_config(config_kwargs={"colour": 1}), r"config_kwargs\.colour"),
    "bert.a key that nobody knows": (bert_config(colour="blue"), 'colour="blue"'),
    "bert.max_seq_length of another type": (bert_config(max_seq_length="12"), 'max_seq_length="12"'),
    "bert.do_lower_case of another type": (bert_config(do_lower_case="yes"), 'do_lower_case="yes"'),
    "pooling.pooling_mode": (pooling_config(pooling_mode="median"), r'1_Pooling/config\.json: pooling_mode="median"'),
    "pooling.a key that nobody knows": (pooling_config(colour="blue"), 'colour="blue"'),
    "model.model_type": (model_config(model_type="SparseEncoder"), 'model_type="SparseEncoder"'),
    "model.similarity_fn_name": (model_config(similarity_fn_name="maxsim"), 'similarity_fn_name="maxsim"'),
    "model.default_prompt_name that is no prompt": (model_config(default_prompt_name="x"), 'default_prompt_name="x"'),
    "model.default_prompt_name": (
        model_config(prompts={"query": "q: "}, default_prompt_name="query"),
        r"""default_prompt_name='query' can be read in two ways.*model\.item_prompt="'q: '" or""",
    ),
    "model.prompts": (
        model_config(prompts={"query": "q: ", "passage": "p: "}),
        r"""prompts\.passage='p: ' can be read in two ways.*model\.item_prompt="'p: '" or model\.item_prompt="''\"""",
    ),
    "model.requirements": (model_config(requirements={"torch": ">=999"}), r'requirements\.torch=">=999"'),
    "tokenizer.model_input_names": (tokenizer_config(model_input_names=["input_ids"]), "attention_mask"),
    "adapter_config": (lambda folder: change(folder / "adapter_config.json", peft_type="LORA"), "merge_and_unload"),
    "config.quantization_config": (
        lambda folder: change(folder / "config.json", quantization_config={"quant_method": "bitsandbytes"}),
        "quantization_config",
    ),
}  # fmt: skip


@pytest.mark.parametrize("word", TELLING)
def test_a_word_that_changes_vectors_changes_them_alike(word: str, base: tuple[Path, Vectors], tmp_path: Path) -> None:
    folder = spoken(tmp_path / "theirs", base[0], TELLING[word])
    assert differ(assert_honoured(folder, tmp_path / "ours"), base[1])


@pytest.mark.parametrize("word", SILENT)
def test_a_word_that_changes_no_vector_is_no_hindrance(word: str, base: tuple[Path, Vectors], tmp_path: Path) -> None:
    folder = spoken(tmp_path / "theirs", base[0], SILENT[word])
    assert_same(ours(folder), base[1])
    assert_same(theirs(folder), base[1])


def test_a_cased_tokenizer_stays_cased(base: tuple[Path, Vectors], tmp_path: Path) -> None:
    assert differ(assert_honoured(spoken(tmp_path / "theirs", base[0], cased), tmp_path / "ours"), base[1])


@pytest.mark.parametrize("word", REFUSED)
def test_what_hft_does_not_do_is_refused_by_name(word: str, base: tuple[Path, Vectors], tmp_path: Path) -> None:
    said, named = REFUSED[word]
    with pytest.raises(ModelError, match=named) as refused:
        load_saved_model(spoken(tmp_path / "theirs", base[0], said))
    assert str(tmp_path) in str(refused.value)
    assert "opy the model again" not in str(refused.value)


def heads() -> dict[str, list[torch.nn.Module]]:
    from sentence_transformers.base.modules import Dense, Normalize
    from sentence_transformers.sentence_transformer.modules import Dropout, LayerNorm

    return {
        "dense tanh": [Dense(32, 9)],
        "dense identity, no bias": [Dense(32, 9, bias=False, activation_function=torch.nn.Identity())],
        "dense gelu": [Dense(32, 9, activation_function=torch.nn.GELU()), Normalize()],
        "dense silu, residual": [Dense(32, 9, activation_function=torch.nn.SiLU(), use_residual=True)],
        "dense residual of one width": [Dense(32, 32, use_residual=True)],
        "two dense": [Dense(32, 9), Dense(9, 5, activation_function=torch.nn.ReLU())],
        "layer norm": [LayerNorm(32)],
        "dropout": [Dropout(0.5)],
        "normalize": [Normalize()],
        "normalize in the middle": [Normalize(), Dense(32, 9), LayerNorm(9), Dropout(0.1), Normalize()],
    }


@pytest.mark.parametrize("name", heads())
def test_modules_after_pooling_give_the_same_vectors(name: str, encoder: Path, tmp_path: Path) -> None:
    folder = sentence_folder(tmp_path / "theirs", encoder, "mean", *heads()[name])
    assert_honoured(folder, tmp_path / "ours")


def test_modes_side_by_side_feed_a_dense_layer(encoder: Path, tmp_path: Path) -> None:
    from sentence_transformers.base.modules import Dense

    folder = sentence_folder(tmp_path / "theirs", encoder, ("cls", "mean", "lasttoken"), Dense(96, 9))
    assert_honoured(folder, tmp_path / "ours")


def _refused_modules(encoder: Path) -> dict[str, tuple[list[torch.nn.Module], str]]:
    from sentence_transformers.base.modules import Dense, Normalize
    from sentence_transformers.sentence_transformer.modules import (
        CNN,
        LSTM,
        Pooling,
        Transformer,
        WeightedLayerPooling,
    )

    def whole(*between: torch.nn.Module, after: tuple[torch.nn.Module, ...] = ()) -> list[torch.nn.Module]:
        return [Transformer(str(encoder)), *between, Pooling(32), *after]

    on_tokens = {"module_input_name": "token_embeddings"}
    return {
        "WeightedLayerPooling": (whole(WeightedLayerPooling(32, 2, 1)), "'WeightedLayerPooling'"),
        "CNN": (whole(CNN(32, 32, [1])), "'CNN'"),
        "LSTM": (whole(LSTM(32, 16)), "'LSTM'"),
        "Dense on tokens": (whole(Dense(32, 32, **on_tokens)), "'Dense'.*before pooling"),
        "Dense.module_input_name": (whole(after=(Dense(32, 32, **on_tokens),)), 'module_input_name="token_embeddings"'),
        "Dense.module_output_name": (whole(after=(Dense(32, 32, module_output_name="x"),)), 'module_output_name="x"'),
        "Normalize.module_input_name": (whole(after=(Normalize("token_embeddings"),)), "module_input_name="),
        "Normalize.module_output_name": (whole(after=(Normalize(module_output_name="x"),)), 'module_output_name="x"'),
        "Dense.activation_function": (
            whole(after=(Dense(32, 32, activation_function=torch.nn.Softmax(-1)),)), "activation_function=.*Softmax",
        ),
        "two poolings": (whole(after=(Pooling(32),)), "'Pooling'.*after pooling"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "WeightedLayerPooling", "CNN", "LSTM", "Dense on tokens", "Dense.module_input_name", "Dense.module_output_name",
        "Normalize.module_input_name", "Normalize.module_output_name", "Dense.activation_function", "two poolings",
    ],
)  # fmt: skip
def test_modules_that_hft_has_not_are_refused_by_name(name: str, encoder: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    modules, named = _refused_modules(encoder)[name]
    SentenceTransformer(modules=modules, device="cpu").save(str(tmp_path), create_model_card=False)
    with pytest.raises(ModelError, match=named):
        load_saved_model(tmp_path)


def test_a_module_of_somebodys_own_code_is_refused(base: tuple[Path, Vectors], tmp_path: Path) -> None:
    def own(folder: Path) -> None:
        modules = json.loads((folder / "modules.json").read_text())
        modules[1]["type"] = "their_code.Pooling"
        (folder / "modules.json").write_text(json.dumps(modules))

    with pytest.raises(ModelError, match=r'modules\.json: type="their_code\.Pooling".*hft runs none'):
        load_saved_model(spoken(tmp_path / "theirs", base[0], own))


class TestRoutes:
    """Asymmetric models: a Router with a list of modules a side."""

    def _router(self, encoder: Path, folder: Path, names: tuple[str, str], after: Any = (), **router: Any) -> Path:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.base.modules import Dense, Router
        from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

        def side(mode: str) -> list[torch.nn.Module]:
            dense = Dense(32, 9)
            torch.nn.init.normal_(dense.linear.weight, std=0.1)
            return [Transformer(str(encoder)), Pooling(32, mode), dense]

        modules = dict(zip(names, (side("mean"), side("cls")), strict=True))
        SentenceTransformer(modules=[Router(modules, **router), *after], device="cpu").save(
            str(folder), create_model_card=False
        )
        return folder

    def test_the_routes_query_and_document(self, encoder: Path, tmp_path: Path) -> None:
        from sentence_transformers.base.modules import Normalize

        folder = self._router(encoder, tmp_path / "theirs", ("query", "document"), [Normalize()])
        assert_honoured(folder, tmp_path / "ours")

    def test_routes_of_other_names_by_their_mappings(self, encoder: Path, tmp_path: Path) -> None:
        mappings = {("query", "text"): "left", ("document", None): "right"}
        folder = self._router(encoder, tmp_path / "theirs", ("left", "right"), route_mappings=mappings)
        assert_honoured(folder, tmp_path / "ours")

    def test_a_config_of_the_older_name(self, encoder: Path, tmp_path: Path) -> None:
        folder = self._router(encoder, tmp_path / "theirs", ("query", "document"))
        (folder / "router_config.json").rename(folder / "config.json")
        assert_honoured(folder, tmp_path / "ours")

    @pytest.mark.parametrize("default", ["query", "document"])
    def test_the_default_route_is_kept(self, encoder: Path, tmp_path: Path, default: str) -> None:
        from sentence_transformers import SentenceTransformer

        folder = self._router(encoder, tmp_path / "theirs", ("query", "document"), default_route=default)
        load_saved_model(folder).save(tmp_path / "ours")
        wanted, found = (
            SentenceTransformer(str(one), device="cpu").encode(ITEMS) for one in (folder, tmp_path / "ours")
        )
        np.testing.assert_allclose(found, wanted, rtol=0, atol=SAME * np.abs(wanted).max())

    def test_routes_with_no_way_for_a_side_are_refused(self, encoder: Path, tmp_path: Path) -> None:
        folder = self._router(encoder, tmp_path, ("query", "passage"))
        with pytest.raises(ModelError, match=r'router_config\.json.*"passage".*none for encode_document'):
            load_saved_model(folder)

    def test_a_route_that_leaves_the_folder_is_refused(self, encoder: Path, tmp_path: Path) -> None:
        folder = self._router(encoder, tmp_path, ("query", "document"))
        file = folder / "router_config.json"
        file.write_text(file.read_text().replace("query_1_Pooling", "../1_Pooling"))
        with pytest.raises(ModelError, match="leaves the model's folder"):
            load_saved_model(folder)

    def test_a_router_after_other_modules_is_refused(self, encoder: Path, tmp_path: Path) -> None:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.base.modules import Dense, Router
        from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

        router = Router.for_query_document([Dense(32, 9)], [Dense(32, 9)])
        SentenceTransformer(modules=[Transformer(str(encoder)), Pooling(32), router], device="cpu").save(
            str(tmp_path), create_model_card=False
        )
        with pytest.raises(ModelError, match=r'modules\.json: type="Router"'):
            load_saved_model(tmp_path)

    def test_routes_of_the_same_modules_are_a_shared_tower(self, encoder: Path, tmp_path: Path) -> None:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.base.modules import Router
        from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

        side = [Transformer(str(encoder)), Pooling(32)]
        SentenceTransformer(modules=[Router.for_query_document(side, side)], device="cpu").save(
            str(tmp_path / "theirs"), create_model_card=False
        )
        assert load_saved_model(tmp_path / "theirs").shared
        assert_honoured(tmp_path / "theirs", tmp_path / "ours")


def test_every_key_that_sentence_transformers_knows_is_tried() -> None:
    """A release with a key more fails here, until somebody says what hft does with it."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Normalize, Router
    from sentence_transformers.sentence_transformer.modules import Dropout, LayerNorm, Pooling, Transformer
    from sentence_transformers.sentence_transformer.modules.pooling import _LEGACY_POOLING_MODE_KWARGS

    tried = {name.split(".")[0] + "." + name.split(".")[1].split("=")[0].split(" ")[0]
             for name in (*TELLING, *SILENT, *REFUSED) if "." in name}  # fmt: skip
    of_transformer = set(inspect.signature(Transformer.__init__).parameters) - {"self", "model_name_or_path"}
    older = {"model_args", "tokenizer_args", "config_args", "cache_dir"}
    of_pooling = {*Pooling.config_keys, *Pooling.config_key_renames, *_LEGACY_POOLING_MODE_KWARGS}
    model = SentenceTransformer(modules=[torch.nn.Identity()], device="cpu", truncate_dim=3)
    of_model = {*model._get_model_config(), "requirements"}
    for room, keys in (("bert", of_transformer | older), ("pooling", of_pooling), ("model", of_model)):
        assert keys <= {name.partition(".")[2] for name in tried if name.startswith(f"{room}.")}
    # Their cases are modules, above.
    assert set(Dense.config_keys) == {
        "in_features", "out_features", "bias", "activation_function", "module_input_name", "module_output_name",
        "use_residual",
    }  # fmt: skip
    assert set(Normalize.config_keys) == {"module_input_name", "module_output_name"}
    assert (LayerNorm.config_keys, Dropout.config_keys) == (["dimension"], ["dropout"])
    assert set(Router.config_keys) == {"default_route", "allow_empty_key", "route_mappings"}


class TestPlainEncoders:
    """A folder without modules.json, as transformers saves it."""

    def test_it_is_mean_pooling_at_the_tokenizers_length_and_normalised(self, encoder: Path, tmp_path: Path) -> None:
        folder = spoken(tmp_path / "plain", encoder, tokenizer_config(model_max_length=12))
        wanted = tuple(side / np.linalg.norm(side, axis=1, keepdims=True) for side in theirs(folder))
        assert_same(ours(folder), wanted)

    def test_a_language_model_is_read_at_its_last_token(self, encoder: Path, tmp_path: Path) -> None:
        folder = spoken(
            tmp_path / "causal", encoder, lambda one: change(one / "config.json", architectures=["XForCausalLM"])
        )
        wanted = tuple(side / np.linalg.norm(side, axis=1, keepdims=True) for side in theirs(folder))
        assert_same(ours(folder), wanted)

    def test_a_chat_template_is_refused(self, encoder: Path, tmp_path: Path) -> None:
        folder = spoken(tmp_path / "chat", encoder, tokenizer_config(chat_template="{{ messages }}"))
        with pytest.raises(ModelError, match=r"tokenizer_config\.json: chat_template="):
            load_text_model(str(folder))

    def test_a_length_that_nobody_says_is_asked_for(self, tmp_path: Path) -> None:
        folder = build_encoder(tmp_path / "t5", "t5")
        change(folder / "tokenizer_config.json", model_max_length=int(1e30))
        with pytest.raises(ModelError, match=r"model\.max_length=512"):
            load_text_model(str(folder))
        assert load_text_model(str(folder), max_length=512).items_tower.max_length == 512


def test_relative_positions_do_not_end_where_the_config_says(tmp_path: Path) -> None:
    folder = sentence_folder(tmp_path / "theirs", build_encoder(tmp_path / "encoder", "deberta-v2"))
    change(folder / "sentence_bert_config.json", max_seq_length=90)
    assert load_saved_model(folder).items_tower.max_length == 90
    assert_same(ours(folder), theirs(folder))


def test_a_tokenizer_with_more_words_than_the_model_says_how_to_mend_it(encoder: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    folder = spoken(tmp_path / "folder", encoder, lambda _: None)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<a>", "<b>"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match=r"resize_token_embeddings\(\d+\)"):
        load_text_model(str(folder))


class TestAlbert:
    """Its layers share their weights: none, or all of them, can be frozen."""

    def test_it_trains_whole_and_frozen_whole(self, tmp_path: Path) -> None:
        model = load_text_model(str(build_encoder(tmp_path / "albert", "albert")), dense_dim=4)
        assert model.num_layers == 2
        model.freeze(0)
        moving = {name for name, weight in model.named_parameters() if weight.requires_grad}
        assert any("albert_layers" in name for name in moving)
        model.freeze(2)
        moving = {name for name, weight in model.named_parameters() if weight.requires_grad}
        assert all("projections" in name for name in moving)

    def test_some_of_its_layers_are_refused_by_key(self, tmp_path: Path) -> None:
        model = load_text_model(str(build_encoder(tmp_path / "albert", "albert")))
        with pytest.raises(ConfigError, match=r"params\.num_fixed_layers=1.*AlbertModel.*Set it to 0 .*or to 2"):
            model.freeze(1)

    def test_its_pooler_can_be_asked_for(self, tmp_path: Path) -> None:
        model = load_text_model(str(build_encoder(tmp_path / "albert", "albert")), pooling="pooler")
        wanted = model.encode(ITEMS, "items")
        model.save(tmp_path / "saved")
        np.testing.assert_array_equal(load_saved_model(tmp_path / "saved").encode(ITEMS, "items"), wanted)


class TestSimilarity:
    """What a folder says of comparing vectors is no default's to overrule."""

    def test_another_ranker_is_refused_by_key(self, base: tuple[Path, Vectors], tmp_path: Path) -> None:
        model = load_saved_model(spoken(tmp_path / "dot", base[0], model_config(similarity_fn_name="dot")))
        settle_similarity(model, DotRanker())
        told = r"similarity_fn_name=dot, and the ranker is cosine\. Choose ranker=dot, or .*model\.similarity=cosine"
        with pytest.raises(ConfigError, match=told):
            settle_similarity(model, CosineRanker())

    def test_one_that_hft_has_not_is_refused(self, base: tuple[Path, Vectors], tmp_path: Path) -> None:
        model = load_saved_model(spoken(tmp_path / "l1", base[0], model_config(similarity_fn_name="manhattan")))
        with pytest.raises(ConfigError, match=r"manhattan, and the ranker is cosine\. hft has no such ranker"):
            settle_similarity(model, CosineRanker())

    def test_the_user_overrules_the_folder(self, base: tuple[Path, Vectors], tmp_path: Path) -> None:
        folder = spoken(tmp_path / "dot", base[0], model_config(similarity_fn_name="dot"))
        settle_similarity(load_text_model(str(folder), similarity="cosine"), CosineRanker())

    def test_of_vectors_of_length_1_every_similarity_gives_one_order(self, encoder: Path, tmp_path: Path) -> None:
        from sentence_transformers.base.modules import Normalize

        folder = sentence_folder(tmp_path / "unit", encoder, "mean", Normalize(), similarity_fn_name="dot")
        settle_similarity(load_saved_model(folder), CosineRanker())

    def test_what_was_trained_by_another_ranker_says_so_when_it_is_saved(
        self, base: tuple[Path, Vectors], tmp_path: Path
    ) -> None:
        from sentence_transformers import SentenceTransformer

        model = load_saved_model(spoken(tmp_path / "theirs", base[0], model_config(similarity_fn_name=None)))
        settle_similarity(model, DotRanker())
        model.save(tmp_path / "ours")
        assert SentenceTransformer(str(tmp_path / "ours"), device="cpu").similarity_fn_name == "dot"


def test_a_tower_of_another_source_brings_its_own_prompt(base: tuple[Path, Vectors], tmp_path: Path) -> None:
    other = spoken(tmp_path / "other", base[0], model_config(prompts={"query": "a ", "document": "server "}))
    model = load_text_model(str(base[0]), shared=False, items_source=str(other))
    assert (model.query_prompt, model.item_prompt) == (PROMPTS["query"], "server ")
