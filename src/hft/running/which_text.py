"""Which text? A model on validation by other fields of the items, beside those that it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from hft.data.source_texts import fields_key
from hft.data.text_declaration import RecordTexts, TextDeclaration
from hft.data.texts_of_items import ReadsItemRecords, records_of_items, texts_by_row, textual_fields
from hft.metrics import compare
from hft.running.fitting import on_device

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data import RankingData
    from hft.data.item_lines import ItemRecord
    from hft.methods import FineTuningMethod
    from hft.running.surroundings import Surroundings

# So that the comparison takes about as long as the test split: sessions, and items that are embedded for each text.
_MOST_SESSIONS, _MOST_ITEMS = 300, 3000
# Fields beside title and text that are tried, each alone, and the share of items that have words in them.
_OTHER_FIELDS, _IN_SHARE = 3, 0.5


def which_text(
    config: DictConfig,
    method: FineTuningMethod,
    data: RankingData,
    source: Any,
    model: Any,
    settings: Any,
    surroundings: Surroundings,
    declared: TextDeclaration | None,
) -> list[dict[str, Any]]:
    """The model's main metric on validation by other texts of the items, each compared with what it is given.

    The texts: title alone, text alone, both, and a few other fields that hold words. Sessions of validation are drawn
    where there are many.

    Args:
        config: of the data.
        method: measures.
        data: prepared from the source.
        source: gives the records of items again.
        model: to measure.
        settings: ranker and metrics.
        surroundings: device, precision, seed.
        declared: the texts that the model is given; None: nothing can be compared.

    Returns:
        a row a text, the best first: `fields` (in words), `used` (the one that the model is given), `value`, the
        `difference` from it with its 95% `interval` (None of itself), `queries`, `sessions`, `of_sessions`, `overrides`
        (what names it).
    """
    if declared is None or not isinstance(source, ReadsItemRecords) or not len(data.validation):
        return []
    sample, rows = _sample(data, config.seed)
    kept = list(records_of_items(source, data.items, rows))
    used = next(iter(declared.items.values()))
    choices = _choices(config, kept, used)
    if not choices:
        return []
    values: list[NDArray[np.float64]] = []
    name = f"test/{method.main_metric}/start"
    options = {"precision": surroundings.precision, "seed": config.seed}
    with on_device(model, surroundings), surroundings.text_progress("which text? on validation") as progress:
        for texts in (None, *choices):
            made = texts_by_row(kept, len(data.items), partial(_text_of, declared, texts))
            seen = sample.with_item_texts(made).with_texts(declared.splitter, data.augmentation)
            tokens = method.tokenize(model, seen)
            measured = method.measure(model, tokens, settings, progress=progress, **options)
            values.append(method.values(measured, measured, tokens)[name])
    counts = {"sessions": len(sample.test), "of_sessions": len(data.validation)}
    own = compare(values[0], None, seed=config.seed)
    first = {"fields": declared.in_words(), "used": True, "value": own.start, "difference": None, "interval": None}
    found = [{**first, "queries": own.queries, "overrides": None, **counts}]
    for texts, of_texts in zip(choices, values[1:], strict=True):
        held = compare(values[0], of_texts, seed=config.seed)
        row = {"fields": texts.in_words(), "used": False, "value": held.tuned, "difference": held.difference}
        interval = None if held.interval is None else list(held.interval)
        more = {"interval": interval, "queries": held.queries, "overrides": _overrides(config, texts)}
        found.append({**row, **more, **counts})
    sign = 1.0 if method.direction == "maximize" else -1.0
    return sorted(found, key=lambda row: -sign * row["value"])


def better_text(rows: Sequence[Mapping[str, Any]], direction: str) -> str | None:
    """That another text does better than the one that the model is given, in words; None where none clearly does."""
    used = next((row for row in rows if row["used"]), None)
    if used is None or rows[0] is used or rows[0]["interval"] is None:
        return None
    best = rows[0]
    low, high = best["interval"]
    if (low if direction == "maximize" else -high) <= 0:
        return None
    told = f"{best['fields']} gives it {best['value']:.3f} where {used['fields']} gives {used['value']:.3f}"
    interval = f"{best['difference']:+.3f}, 95% {low:+.3f} to {high:+.3f}, {best['queries']:,} queries"
    advice = "" if best["overrides"] is None else f": {best['overrides']}"
    return f"another text of the items serves the untouched model better on validation: {told} ({interval}){advice}"


def _text_of(declared: TextDeclaration, chosen: RecordTexts | None, source: str, record: Mapping[str, Any]) -> str:
    return (chosen or declared.of(source)).text_of(record)


def _sample(data: RankingData, seed: int) -> tuple[RankingData, NDArray[np.int64]]:
    """(the data with sessions of validation in test's place, int64[items] rows that their evaluation embeds)."""
    order = np.random.default_rng(seed).permutation(len(data.validation))[:_MOST_SESSIONS]
    pool = data.pools.get("validation")
    if pool is None:
        offsets = data.validation.offsets
        taken: dict[int, None] = {}
        count = 0
        for session in order.tolist():
            shown = data.validation.flat_results[offsets[session] : offsets[session + 1]]
            if count and len(taken) + len(shown) > _MOST_ITEMS:
                break
            taken.update(dict.fromkeys(shown.tolist()))
            count += 1
        order = order[:count]
    sessions = data.validation.select(np.sort(order))
    labels = sessions.labels()
    rows = np.unique(
        np.concatenate([sessions.flat_results, labels.rows, [] if pool is None else pool]).astype(np.int64)
    )
    pools = data.pools if pool is None else {**data.pools, "test": pool}
    sample = replace(data, test=sessions, pools=pools)
    sample.__dict__["query_texts"] = data.query_texts  # worked out once
    return sample, rows


def _choices(config: DictConfig, kept: Sequence[tuple[int, ItemRecord]], used: RecordTexts) -> list[RecordTexts]:
    """Title alone, text alone, both, and other fields alone: those that hold words and are not used as it is."""
    normalized = [record.fields if used.normalizes is None else used.normalizes(record.fields) for _, record in kept]
    there = textual_fields(normalized, at_least=_IN_SHARE)
    title, text = _title_and_text(config, used, there)
    others = [field for field in there if field not in (title, text, used.id_field)][:_OTHER_FIELDS]
    both = [name for name in (title, text) if name in there]
    wanted = [[name] for name in both] + ([both] if len(both) == 2 else []) + [[name] for name in others]
    return [
        RecordTexts(fields=fields, normalizer=used.normalizer, id_field=used.id_field)
        for fields in wanted
        if used.item_text is not None or fields != used.fields
    ]


def _title_and_text(config: DictConfig, used: RecordTexts, there: Sequence[str]) -> tuple[str, str]:
    node: Any = OmegaConf.to_container(config.data.source, resolve=True)
    names = node.get("fields") or (node.get("source") or {}).get("fields") or {}
    title, text = str(names.get("title") or "title"), names.get("text")
    if not isinstance(text, str):
        text = "text" if "text" in there or not used.fields else used.fields[-1]
    return title, text


def _overrides(config: DictConfig, texts: RecordTexts) -> str | None:
    """What names these fields on the command line; None where each source has its own."""
    node: Any = OmegaConf.to_container(config.data.source, resolve=True)
    key = fields_key(node)
    if key is None:
        return None
    without = f"{key.split('.fields')[0].removesuffix('.item_fields')}.item_text=null "
    named = f"'{key}=[{','.join(texts.fields or [])}]'"
    return f"{without if node.get('item_text') is not None else ''}{named}"
