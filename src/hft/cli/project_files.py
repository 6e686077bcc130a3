"""The files of a project that `hft init` starts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

_METHOD = """\
# @package _global_
# hft train method=my_method                  train it (from the folder that holds conf/)
# hft check method=my_method                  say what is wrong with it, in under a second
#
# A method is this file: what is learned, from what data, and how it is measured. Change what you like; every key
# may also be given on the command line. `hft train --help` lists the options of each group, and
# `hft train method=my_method --cfg job` shows the whole config with everything that is not written here.
defaults:
  - override /data: sessions          # your own files, see below
  - override /data/splitter: by_query # held out by query; by_group: by a field of the sessions, such as the user
  - override /model: minilm           # local: a model in a folder; hub: one from a hub
  - override /loss: infonce           # or margin, prob_margin, cosine_prob_margin

method:
  _target_: hft.methods.EmbeddingsMethod
  meta:
    name: my_method                   # runs land in outputs/my_method/
    version: 0.1.0
    description: What this method learns, in a line.
  main_metric: ndcg@10                # what stopping and the choice of weights look at, on the validation split
  direction: maximize

data:
  source:
    sessions: data/sessions.jsonl     # a line a session: query, results shown, those picked
    items: data/items.jsonl           # a line an item: its id and its text
    # Where your fields have other names: fields: {query: search_term, text: [title, description]}
  candidates: shown                   # evaluation re-ranks what was shown; corpus: every item

params:
  items_lr: 3.0e-5                    # 1e-5 to 1e-4 is usual; more may destroy a pretrained model

settings:
  num_epochs: 2
  batch_size: 8                       # sessions a step; with real data 32 or more: more negatives for infonce
"""

_README = """\
# My fine-tuning project

| | |
|---|---|
| `conf/method/my_method.yaml` | the method: edit it |
| `data/sessions.jsonl` | what was searched, shown and picked: replace it by your own |
| `data/items.jsonl` | the items and their texts: replace it by your own |
| `outputs/` | where runs land |

Run these from this folder:

```
hft check method=my_method                        # what is wrong, in under a second
hft train method=my_method trainer=debug          # the whole way in seconds, on a few sessions
hft train method=my_method                        # for real
hft train -m method=my_method loss=infonce,margin # one run for each
hft runs                                          # what has been run
```

A line of `sessions.jsonl`: `{"session_id": "1", "query": "...", "results": ["id", ...], "events": ["id", ...]}`, where
`results` are the items in the order shown and `events` those that were picked. A line of `items.jsonl`:
`{"item_id": "...", "title": "...", "text": "..."}`. The few lines here only show the form: no model becomes better by
them.
"""

# (id, title, text, queries that were answered by it)
_ITEMS = (
    ("tent", "Two-person tent", "A light tent of three seasons for two people, up in five minutes.",
     ("light shelter for a couple", "camping for two", "quick to pitch")),
    ("stove", "Gas stove", "A folding burner that boils a litre of water in four minutes.",
     ("cook on the trail", "boil water outdoors", "small burner")),
    ("boots", "Leather hiking boots", "Waterproof boots with a stiff sole for long days on rock.",
     ("shoes for wet mountains", "firm sole for rocky paths", "keep feet dry")),
    ("lamp", "Head lamp", "A rechargeable lamp of 400 lumens with a red night mode.",
     ("see in the dark with free hands", "light for night hikes", "red light")),
    ("bag", "Down sleeping bag", "A warm bag for nights down to minus five degrees.",
     ("stay warm at night", "sleep in the cold", "winter nights outdoors")),
    ("filter", "Water filter", "A hollow-fibre filter that makes a litre of stream water safe in a minute.",
     ("drink from a stream", "clean water anywhere", "remove germs")),
    ("map", "Trail map", "A tear-proof map at a scale of 1:25,000 with every marked path.",
     ("find the way without a phone", "paths of the region", "paper navigation")),
    ("poles", "Trekking poles", "Folding carbon poles with cork grips that spare the knees downhill.",
     ("relieve my knees", "support on steep descents", "walking sticks")),
    ("jacket", "Rain jacket", "A breathable shell with taped seams and a hood that fits over a helmet.",
     ("stay dry in a storm", "shell with hood", "light coat against wet weather")),
    ("pack", "Backpack of 45 litres", "A pack with a padded belt, side pockets and a cover against rain.",
     ("carry gear for a weekend", "comfortable load on the hips", "bag with rain cover")),
    ("knife", "Pocket knife", "A folding blade with a can opener, scissors and a corkscrew.",
     ("open cans on the road", "tool for the pocket", "cut rope and bread")),
    ("mat", "Sleeping mat", "An inflatable mat, six centimetres thick, that packs to the size of a bottle.",
     ("soft ground for the night", "something between me and the floor", "inflatable bed")),
)  # fmt: skip

_SHOWN = 5


def project_files() -> dict[str, str]:
    """Contents by path inside the project's folder."""
    return {
        "README.md": _README,
        "conf/method/my_method.yaml": _METHOD,
        "data/items.jsonl": _lines({"item_id": item, "title": title, "text": text} for item, title, text, _ in _ITEMS),
        "data/sessions.jsonl": _lines(_sessions()),
        ".gitignore": "outputs/\n",
    }


def _sessions() -> list[dict[str, object]]:
    """A session for each query: the item that answers it among others, at changing positions."""
    ids = [item for item, *_ in _ITEMS]
    sessions: list[dict[str, object]] = []
    for row, (item, _, _, queries) in enumerate(_ITEMS):
        for turn, query in enumerate(queries):
            others = [ids[(row + 1 + turn + 2 * step) % len(ids)] for step in range(_SHOWN - 1)]
            position = (row + turn) % _SHOWN
            results = [*others[:position], item, *others[position:]]
            sessions.append(
                {"session_id": str(len(sessions) + 1), "query": query, "results": results, "events": [item]}
            )
    return sessions


def _lines(rows: Iterable[Mapping[str, object]]) -> str:
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
