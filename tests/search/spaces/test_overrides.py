"""Parameters as Hydra overrides and back: whatever the value holds, the application gets it as it was."""

from __future__ import annotations

from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from hft.errors import ConfigError
from hft.search import Choice, Integer, RawValue, Uniform, override_lines, parameter_of

PARSER = OverridesParser.create()

# What is special to Hydra's grammar, to OmegaConf, or to both, in every order.
NASTY = [
    *"ab01 '\"\\=,:{}[]()$./-+~@#%!?*|&\té日",
    *("${", "${a}", "\\'", "\\\\", "null", "true", "1e-5", "inf", "???", "choice(", "\x7f", "\u2028"),
]
TEXTS = st.one_of(
    st.lists(st.sampled_from(NASTY), max_size=10).map("".join),
    st.text(alphabet=st.characters(min_codepoint=32, exclude_categories=["Cs"]), max_size=10),
).filter(lambda text: text != "???")
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([1e-5, 1e22, -0.0, 5e-324, 1.7976931348623157e308]),
    TEXTS,
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=6)


def seen_by_the_application(line: str) -> Any:
    """The value that a Hydra application reads from its config."""
    override = PARSER.parse_override(line)
    assert not override.is_sweep_override()
    return OmegaConf.to_container(OmegaConf.create({"value": override.value()}), resolve=True)["value"]


@given(VALUES)
def test_a_value_reaches_the_application_as_it_was_and_of_its_type(value):
    (line,) = override_lines({"a.b": value})
    assert repr(seen_by_the_application(line)) == repr(value)


@given(st.lists(TEXTS, min_size=2, max_size=4, unique=True))
def test_what_a_sweep_lists_reaches_the_application_too(texts):
    lines = [line.partition("=")[2] for text in texts for line in override_lines({"a": text})]
    spec = parameter_of(PARSER.parse_override(f"a={','.join(lines)}")).spec
    assert isinstance(spec, Choice)
    assert [seen_by_the_application(line) for value in spec.values for line in override_lines({"a": value})] == texts


LINES = [
    ("infonce", "infonce"),
    ("data/x.jsonl", "data/x.jsonl"),
    ("null", "'null'"),
    ("True", "'True'"),
    ("nan", "'nan'"),
    ("1e-5", "'1e-5'"),
    ("", "''"),
    ("a b", "'a b'"),
    ("a=b,c", "'a=b,c'"),
    ("it's", r"'it\'s'"),
    ("${seed}", r"'\${seed}'"),
    (None, "null"),
    (True, "true"),
    (1e-05, "1e-05"),
    (1.0, "1.0"),
    ([1, [None, "a,b"]], "[1,[null,'a,b']]"),
    (RawValue("${seed}"), "${seed}"),
    (RawValue("{a:1}"), "{a:1}"),
]


@pytest.mark.parametrize(("value", "text"), LINES)
def test_values_are_quoted_only_where_they_need_it(value, text):
    assert override_lines({"+key": value}) == [f"+key={text}"]


def test_a_number_of_numpy_is_written_as_pythons():
    numpy = pytest.importorskip("numpy")
    assert override_lines({"a": numpy.float64(0.5), "b": numpy.int64(3), "c": numpy.bool_(True)}) == [
        "a=0.5",
        "b=3",
        "c=true",
    ]


@pytest.mark.parametrize("value", [float("inf"), float("nan"), {"a": 1}, "a\nb", "???", object(), [1, float("inf")]])
def test_a_value_that_no_override_can_hold_is_refused_with_its_key(value):
    with pytest.raises(ConfigError, match=r"^params\.x: "):
        override_lines({"params.x": value})


SWEEPS = [
    ("a=1,2", Choice((1, 2))),
    ("a=choice(1,x,'x y')", Choice((1, "x", "x y"))),
    ("a=null,b", Choice((None, "b"))),
    ("a=true,1,1.0,'1'", Choice((True, 1, 1.0, "1"))),
    ("a=1,1,2", Choice((1, 2))),
    ("a=[1,2],[3,'x,y']", Choice(([1, 2], [3, "x,y"]))),
    ("a={x:1},{x:2}", Choice((RawValue("{x:1}"), RawValue("{x:2}")))),
    ("a=${b},'${c}'", Choice((RawValue("'${b}'"), RawValue("'${c}'")))),
    ("a=[${b}],x", Choice((RawValue("['${b}']"), "x"))),
    ("a=range(1,5)", Choice((1, 2, 3, 4))),
    ("a=range(10,0,-4)", Choice((10, 6, 2))),
    ("a=range(0,0.5,0.1)", Choice((0.0, 0.1, 0.2, 0.3, 0.4))),
    ("a=range(0,100000)", Integer(0, 99999)),
    ("a=range(100000,0,-3)", Integer(1, 100000, step=3)),
    ("a=range(0,3000.5,0.5)", Uniform(0.0, 3000.0, step=0.5)),
    ("a=shuffle(1,2,3,4,5,6,7,8)", Choice((1, 2, 3, 4, 5, 6, 7, 8))),
    ("a=shuffle(range(1,4))", Choice((1, 2, 3))),
    ("a=sort(3,1,2)", Choice((1, 2, 3))),
    ("a=interval(1,5)", Uniform(1.0, 5.0)),
    ("a=float(interval(1,5))", Uniform(1.0, 5.0)),
    ("a=int(interval(1,5))", Integer(1, 5)),
    ("a=tag(log,interval(1e-5,1e-2))", Uniform(1e-5, 1e-2, log=True)),
    ("a=tag(log,int(interval(1,64)))", Integer(1, 64, log=True)),
    ("a=int(tag(log,interval(1,64)))", Integer(1, 64, log=True)),
]


@pytest.mark.parametrize(("line", "spec"), SWEEPS)
def test_hydras_sweep_grammar_says_what_a_parameter_may_be(line, spec):
    found = parameter_of(PARSER.parse_override(line))
    assert found.key == "a"
    assert repr(found.spec) == repr(spec)


@pytest.mark.parametrize(
    ("line", "key"),
    [("+a.b=1,2", "+a.b"), ("loss=x,y", "loss"), ("data/splitter=x,y", "data/splitter"), ("db@x=a,b", "db@x")],
)
def test_keys_and_groups_are_kept_as_they_are_written(line, key):
    assert parameter_of(PARSER.parse_override(line)).key == key


WRONG = [
    ("a=1", "is no sweep"),
    ("~a=1,2", "is no sweep"),
    ("a=interval(5,1)", "found low 5.0 above high 1.0"),
    ("a=tag(log,interval(0,1))", "allowed: low > 0"),
    ("a=tag(lgo,interval(1,2))", "found the tag lgo; allowed: log"),
    ("a=range(5,1)", "a choice of nothing"),
    ("a=range(1,5,0)", "must not be zero"),
]


@pytest.mark.parametrize(("line", "says"), WRONG)
def test_a_sweep_that_cannot_be_searched_is_refused_with_the_line(line, says):
    with pytest.raises(ConfigError) as caught:
        parameter_of(PARSER.parse_override(line))
    assert str(caught.value).startswith(f"{line}: ")
    assert says in str(caught.value)
