"""The converter: rules in their order between reading and splitting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hft.data.conversion.rule import Converted, SessionRule
from hft.errors import ConfigError

if TYPE_CHECKING:
    from hft.data.inputs import FineTuningInputs


class SessionConverter:
    """Turns sessions as they were logged into sessions to learn from, rule by rule.

    Args:
        rules: rules by a name of one's own, applied in this order; null in place of a rule leaves it out.

    Raises:
        ConfigError: something that is no rule.
    """

    def __init__(self, rules: dict[str, Any]) -> None:
        for name, rule in rules.items():
            if rule is not None and not hasattr(rule, "apply"):
                raise ConfigError(
                    f"data.converter.rules.{name}: found {rule!r}, expected a rule: a node with a _target_ whose class "
                    f"has `apply(inputs)`, or null."
                )
        self.rules: dict[str, SessionRule] = {name: rule for name, rule in rules.items() if rule is not None}

    def convert(self, inputs: FineTuningInputs) -> Converted:
        """The sessions after all rules, with the counts of each added up."""
        dropped: Counter[str] = Counter()
        changed: Counter[str] = Counter()
        notes: list[str] = []
        for rule in self.rules.values():
            if not len(inputs):
                break
            found = rule.apply(inputs)
            inputs = found.inputs
            dropped.update(found.dropped)
            changed.update(found.changed)
            notes += found.notes
        return Converted(inputs, dict(dropped), dict(changed), tuple(notes))

    def identity(self) -> Mapping[str, Any] | None:
        """What decides what it gives, as plain values; None where a rule is not hft's own: nothing is known of it."""
        if not all(type(rule).__module__.startswith("hft.data.") for rule in self.rules.values()):
            return None
        # A list, because the order counts.
        return {"rules": [[type(rule).__qualname__, dict(vars(rule))] for rule in self.rules.values()]}
