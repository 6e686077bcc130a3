"""Targets are found and read from their source, and nothing of it runs."""

from __future__ import annotations

import inspect
import json

import pytest

from hft.config.static import NotFoundError, NotVerifiableError, Sources, Symbols, class_constant, signature_of
from hft.config.static.annotations import checker_of

FAIL_IF_IMPORTED = "raise AssertionError('this module must not be imported')\n"


@pytest.fixture
def symbols(folder) -> Symbols:
    return Symbols(Sources())


def parameters(symbols: Symbols, target: str) -> list[str]:
    return [p.name for p in signature_of(symbols.find(target), symbols).parameters]


def accepts(symbols: Symbols, target: str, name: str, value: object) -> bool:
    checker = checker_of(signature_of(symbols.find(target), symbols).by_name[name], symbols)
    assert checker is not None
    try:
        checker.adapter.validate_json(json.dumps(value), strict=True)
    except ValueError:
        return False
    return True


def test_re_exports_are_followed_to_the_definition(write, symbols):
    write("pack/__init__.py", FAIL_IF_IMPORTED + "from pack.inner import Renamed as Shown\nfrom .deep import *\n")
    write("pack/inner.py", "from pack.deep.core import Real as Renamed\n")
    write("pack/deep/__init__.py", "from .core import *\n")
    write("pack/deep/core.py", "class Real:\n    def __init__(self, a, b=1): ...\nclass _Hidden: ...\n")
    assert symbols.find("pack.Shown").origin == "pack.deep.core.Real"
    assert symbols.find("pack.Real").origin == "pack.deep.core.Real"
    assert parameters(symbols, "pack.Shown") == ["a", "b"]
    with pytest.raises(NotFoundError):
        symbols.find("pack._Hidden")


def test_a_wrong_name_comes_with_the_names_that_are_there(write, symbols):
    write("pack/__init__.py", "__all__ = ['Loss']\nfrom pack.inner import Loss\n")
    write("pack/inner.py", "class Loss: ...\n")
    with pytest.raises(NotFoundError) as refusal:
        symbols.find("pack.Los")
    assert (refusal.value.owner, refusal.value.name, refusal.value.names) == ("pack", "Los", ["Loss"])


def test_class_methods_functions_and_nested_classes_have_signatures(write, symbols):
    write(
        "things.py",
        "class A:\n"
        "    @classmethod\n    def make(cls, x): ...\n"
        "    @staticmethod\n    def free(x, y): ...\n"
        "    class Inner:\n        def __init__(self, z): ...\n"
        "def build(p, /, q, *, r=1, **rest): ...\n",
    )
    assert parameters(symbols, "things.A.make") == ["x"]
    assert parameters(symbols, "things.A.free") == ["x", "y"]
    assert parameters(symbols, "things.A.Inner") == ["z"]
    assert parameters(symbols, "things.build") == ["p", "q", "r", "rest"]


def test_constructors_are_inherited_across_modules(write, symbols):
    write("base.py", "class Base:\n    def __init__(self, a, *, b=2): ...\n")
    write("child.py", "import base\nclass Child(base.Base):\n    def other(self): ...\n")
    assert parameters(symbols, "child.Child") == ["a", "b"]


def test_fields_of_dataclasses_and_models_are_arguments(write, symbols):
    write(
        "shapes.py",
        "from dataclasses import dataclass, field\nfrom typing import ClassVar, NamedTuple\n"
        "from pydantic import BaseModel, Field\n"
        "@dataclass(frozen=True)\nclass Base:\n    a: int\n    kind: ClassVar[str] = 'x'\n"
        "@dataclass\nclass Point(Base):\n    b: float = 0.0\n    c: list[int] = field(default_factory=list)\n"
        "    hidden: int = field(init=False, default=0)\n"
        "class Model(BaseModel):\n    x: int\n    y: float = Field(default=1.0, gt=0)\n    z: int = Field(..., ge=1)\n"
        "class Pair(NamedTuple):\n    first: int\n    second: int = 2\n",
    )
    assert parameters(symbols, "shapes.Point") == ["a", "b", "c"]
    assert parameters(symbols, "shapes.Pair") == ["first", "second"]
    required = {p.name: not p.has_default for p in signature_of(symbols.find("shapes.Model"), symbols).parameters}
    assert required == {"x": True, "y": False, "z": True}
    assert not accepts(symbols, "shapes.Model", "z", "text")


def test_annotations_become_types_that_are_checked(write, symbols):
    write(
        "kinds.py",
        "from __future__ import annotations\nfrom collections.abc import Sequence\nfrom pathlib import Path\n"
        "from typing import Annotated, Any, Literal, Optional\nfrom pydantic import Field, PositiveInt\nimport other\n"
        "Share = Annotated[float, Field(gt=0, le=1)]\n"
        "def f(share: Share, many: PositiveInt | None, mode: Literal['a', 'b'] = 'a',\n"
        "      pair: tuple[float, float] = (0, 0),\n"
        "      names: Sequence[str] = (), path: Path = Path('.'), table: dict[str, int] = {}, late: 'int' = 0,\n"
        "      maybe: int = None, thing: other.Thing = None, anything: Any = 1): ...\n",
    )
    write("other.py", FAIL_IF_IMPORTED + "class Thing: ...\n")
    good = {
        "share": 0.5, "many": None, "mode": "b", "pair": [1, 2.5], "names": ["x"], "path": "a/b", "table": {"a": 1},
        "late": 3, "maybe": None,
    }  # fmt: skip
    bad = {
        "share": 0, "many": 0, "mode": "c", "pair": [1], "names": "x", "path": 3, "table": {"a": "b"}, "late": "x",
        "maybe": "x",
    }  # fmt: skip
    for name, value in good.items():
        assert accepts(symbols, "kinds.f", name, value), name
    for name, value in bad.items():
        assert not accepts(symbols, "kinds.f", name, value), name
    known = signature_of(symbols.find("kinds.f"), symbols).by_name
    assert checker_of(known["thing"], symbols) is None
    assert checker_of(known["anything"], symbols) is None


def test_a_string_is_no_number_and_a_number_no_string(write, symbols):
    write("kinds.py", "def f(x: float, n: int, s: str): ...\n")
    assert accepts(symbols, "kinds.f", "x", 1)
    assert not accepts(symbols, "kinds.f", "x", "1.0")
    assert not accepts(symbols, "kinds.f", "n", True)
    assert not accepts(symbols, "kinds.f", "s", 1)


def test_nested_values_of_a_model_are_checked_by_its_fields(write, symbols):
    write(
        "nested.py",
        "from typing import Any\nfrom pydantic import BaseModel\n"
        "class Names(BaseModel):\n    query: str = 'q'\n    text: str\n"
        "def f(names: Names | dict[str, Any] | None = None): ...\n",
    )
    assert accepts(symbols, "nested.f", "names", {"text": "t"})
    assert accepts(symbols, "nested.f", "names", None)
    assert not accepts(symbols, "nested.f", "names", {"text": "t", "qery": "x"})
    assert not accepts(symbols, "nested.f", "names", {"query": "x"})


def test_annotations_run_no_code(write, symbols):
    write(
        "sly.py",
        "from typing import Annotated\nimport os\n"
        "def f(a: Annotated[int, os._exit(3)], b: __import__('os')._exit(3), c: (lambda: 1/0)()): ...\n",
    )
    known = signature_of(symbols.find("sly.f"), symbols).by_name
    assert accepts(symbols, "sly.f", "a", 1)
    assert checker_of(known["b"], symbols) is None
    assert checker_of(known["c"], symbols) is None


def test_what_is_made_at_import_is_not_verifiable(write, symbols):
    write("made.py", "X = type('X', (), {})\n")
    write("lazy.py", "def __getattr__(name): ...\n")
    for target in ("made.X", "lazy.Y", "itertools.count", "math.sqrt"):
        with pytest.raises(NotVerifiableError):
            symbols.find(target)


def test_a_target_too_large_to_read_is_given_up(write, folder):
    write("large/__init__.py", "from large.b import B\n")
    write("large/b.py", "class B: ...\n")
    with pytest.raises(NotVerifiableError, match="more source than"):
        Symbols(Sources(seconds_a_target=-1.0)).find("large.B")


def test_class_constants_are_read_through_base_classes(write, symbols):
    write(
        "losses.py",
        "from typing import ClassVar\n"
        "class Base:\n    ignores: ClassVar[frozenset[str]] = frozenset({'margin'})\n    name = 'base'\n"
        "class Child(Base):\n    name = 'child'\n",
    )
    child = symbols.find("losses.Child")
    assert class_constant(child, "ignores", symbols) == {"margin"}
    assert class_constant(child, "name", symbols) == "child"
    assert class_constant(child, "nothing", symbols) is None


def test_a_torch_module_without_a_constructor_takes_no_argument(write, symbols):
    write("mine.py", "from torch import nn\nclass Loss(nn.Module):\n    def forward(self, x): ...\n")
    assert parameters(symbols, "mine.Loss") == []


def test_the_signature_is_that_of_inspect(write, symbols):
    source = "def f(a, /, b: int, c=1, *args, d, e=2, **rest): ...\n"
    write("same.py", source)
    space: dict[str, object] = {}
    exec(source, space)
    expected = [(p.name, p.kind, p.default is not p.empty) for p in inspect.signature(space["f"]).parameters.values()]
    found = signature_of(symbols.find("same.f"), symbols).parameters
    assert [(p.name, p.kind, p.has_default) for p in found] == expected
