"""Between parameters and Hydra's override grammar, both ways."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hft.errors import ConfigError
from hft.search.spaces.identity import canonical_value
from hft.search.spaces.parsing import read_spec
from hft.search.spaces.problems import Problem, space_error
from hft.search.specs import Parameter, Params, RawValue

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

# A range with more values than this is kept as its ends and step instead of a list.
MOST_LISTED = 1000

# Strings that Hydra reads back as themselves without quotes, and that nobody takes for anything else.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*\Z")
_KEYWORDS = {"null", "true", "false", "inf", "nan"}

_INTERPOLATION = "${"


def override_lines(params: Params) -> list[str]:
    """Parameters as Hydra overrides, each with one value whatever it holds.

    A string with `${` is escaped, so that it reaches the application as it stands; a RawValue is taken over.

    Raises:
        ConfigError: a value that no override can hold (infinite, a mapping, a string with a line break).
    """
    return [f"{key}={value_text(value, key)}" for key, value in params.items()]


def value_text(value: Any, key: str = "value") -> str:
    """One value in Hydra's override grammar.

    Args:
        value: None, a bool, a number, a string, or a list of these.
        key: of the parameter, for errors.

    Raises:
        ConfigError: no override can hold it.
    """
    if isinstance(value, RawValue):
        return str(value)
    if hasattr(value, "item"):
        value = value.item()
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    if isinstance(value, str):
        return _text_of_string(value, key)
    if isinstance(value, list | tuple):
        return f"[{','.join(value_text(part, key) for part in value)}]"
    raise ConfigError(
        f"{key}: {value!r} cannot be written as an override; allowed: null, bools, finite numbers, strings"
    )


def parameter_of(override: Override) -> Parameter:
    """What a sweep override lets a parameter be.

    `a,b` and `choice(a,b)` are a choice, also within `shuffle` and `sort`, which change nothing in a search;
    `range(0,10,2)` is a choice of its numbers (end excluded), a long one whole steps; `interval(1,5)` real,
    `int(interval(1,5))` whole numbers with both ends; `tag(log, ...)` of an interval takes the logarithm. A value
    that stands twice counts once.

    Raises:
        ConfigError: the override is no sweep, or its sweep is empty or impossible.
    """
    from hydra.core.override_parser.types import IntervalSweep, RangeSweep, ValueType
    from hydra.errors import HydraException

    key, line = override.get_key_element(), str(override.input_line)
    if not override.is_sweep_override() or override.is_delete():
        raise ConfigError(f"{line}: is no sweep; allowed: {key}=a,b, choice(..), range(..), interval(..)")
    value = override.value()
    if isinstance(value, IntervalSweep):
        return _of_interval(key, line, value)
    if isinstance(value, RangeSweep) and _is_long(value):
        return _of_range(key, line, value)
    try:
        elements = _elements(override)
    except (HydraException, ValueError) as error:
        raise ConfigError(f"{line}: {error}") from error
    if override.value_type is ValueType.GLOB_CHOICE_SWEEP and not elements:
        raise ConfigError(f"{line}: no option of the group fits")
    return _checked(key, line, {"choices": _distinct(_plain(element) for element in elements)})


def _text_of_string(text: str, key: str) -> str:
    from hydra.core.override_parser.types import Quote, QuotedString

    if _PLAIN.match(text) and text.lower() not in _KEYWORDS:
        return text
    if text == "???":
        raise ConfigError(f"{key}: '???' stands for a missing value; no override can set it as a text")
    if any(ord(character) < 32 and character != "\t" for character in text):
        raise ConfigError(f"{key}: {text!r} holds a control character; an override is one line of text")
    if _INTERPOLATION in text:
        text = _escaped(text)
    return QuotedString(text, Quote.single).with_quotes()


def _escaped(text: str) -> str:
    """A text in which OmegaConf sees no interpolation: backslashes before `${` doubled, and one more to escape it."""
    return re.sub(r"(\\*)\$\{", lambda match: match.group(1) * 2 + "\\${", text)


def _of_interval(key: str, line: str, sweep: Any) -> Parameter:
    strange = sorted(set(sweep.tags) - {"log"})
    if strange:
        raise ConfigError(f"{line}: found the tag {', '.join(strange)}; allowed: log")
    is_integer = type(sweep.start) is int and type(sweep.end) is int
    node = {"low": sweep.start, "high": sweep.end, "log": "log" in sweep.tags, "integer": is_integer}
    return _checked(key, line, node)


def _elements(override: Override) -> list[Any]:
    """What a sweep lists, in its order: Hydra's own iterator would shuffle `shuffle(..)` anew each time."""
    from hydra.core.override_parser.types import ChoiceSweep, RangeSweep

    value = override.value()
    if isinstance(value, ChoiceSweep):
        return list(value.list)
    if isinstance(value, RangeSweep):
        return [float(f"{number:.12g}") if isinstance(number, float) else number for number in value.range()]
    return list(override.sweep_iterator())


def _is_long(sweep: Any) -> bool:
    if not sweep.step or sweep.start is None or sweep.stop is None:
        return False
    return bool((sweep.stop - sweep.start) / sweep.step > MOST_LISTED)


def _of_range(key: str, line: str, sweep: Any) -> Parameter:
    """A long range by its ends: the last number before the end is the high one."""
    count = math.ceil((sweep.stop - sweep.start) / sweep.step - 1e-9)
    ends = sorted((sweep.start, sweep.start + (count - 1) * sweep.step))
    is_integer = all(type(number) is int for number in (*ends, sweep.step))
    node = {"low": ends[0], "high": ends[1], "integer": is_integer, "step": abs(sweep.step)}
    return _checked(key, line, node)


def _checked(key: str, line: str, node: dict[str, Any]) -> Parameter:
    problems: list[Problem] = []
    spec = read_spec(key, node, problems)
    if spec is None or problems:
        raise space_error(line, [Problem("", p.found, p.allowed, p.advice) for p in problems])
    return Parameter(key, spec)


def _plain(element: Any) -> Any:
    """A value as the grammar's parser gives it, without its quotes. What only the grammar can say stays as it is."""
    from hydra.core.override_parser.types import Override, OverrideType, Quote, QuotedString, ValueType

    if isinstance(element, dict):
        stand_in = Override(OverrideType.CHANGE, "value", ValueType.ELEMENT, element)
        return RawValue(stand_in.get_value_element_as_str())
    if isinstance(element, list):
        parts = [_plain(part) for part in element]
        return RawValue(value_text(parts)) if any(isinstance(part, RawValue) for part in parts) else parts
    text = element.text if isinstance(element, QuotedString) else element
    if isinstance(text, str) and _INTERPOLATION in text:
        return RawValue(QuotedString(text, Quote.single).with_quotes())
    if isinstance(text, float) and not math.isfinite(text):
        return RawValue(str(text))
    return text


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list({canonical_value(value): value for value in values}.values())
