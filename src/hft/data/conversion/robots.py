"""Sessions that no person made."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from hft.data.conversion.rule import Converted, lacking_note, lacks
from hft.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hft.data.inputs import FineTuningInputs

_HOUR = 3600.0


class Robots:
    """Leaves out sessions by rules for robots; each is off by default. Who breaks a rule of users loses all sessions.

    A session without a user breaks no rule of users. Numbers that fit depend on the log: `hft data describe` shows
    sessions and events of users.

    Args:
        sessions_of_user: more sessions of one user than this.
        events_of_user: more results with an event, over all sessions of one user, than this.
        sessions_an_hour: more sessions of one user within any hour than this.
        user_agents: regular expressions; a user agent in which one is found (in any case of letters) is a robot's.
        every_result_of: every result has an event, in a list of so many results or more.
    """

    def __init__(
        self,
        sessions_of_user: Annotated[int, Field(ge=1)] | None = None,
        events_of_user: Annotated[int, Field(ge=1)] | None = None,
        sessions_an_hour: Annotated[int, Field(ge=1)] | None = None,
        user_agents: list[str] | None = None,
        every_result_of: Annotated[int, Field(ge=2)] | None = None,
    ) -> None:
        self.sessions_of_user = sessions_of_user
        self.events_of_user = events_of_user
        self.sessions_an_hour = sessions_an_hour
        self.user_agents = None if user_agents is None else list(user_agents)
        self.every_result_of = every_result_of
        for pattern in self.user_agents or ():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ConfigError(
                    f"data.converter: Robots has user_agents with {pattern!r}, which is no regular expression: {error}."
                ) from error

    def apply(self, inputs: FineTuningInputs) -> Converted:
        """Leaves them out; a session that breaks several rules is counted under the first."""
        rules: list[tuple[str, Callable[[FineTuningInputs], NDArray[np.bool_]], tuple[str, ...]]] = []
        if self.user_agents:
            rules.append(("sessions of user agents of robots", self._by_agent, ("user_agent",)))
        if self.sessions_of_user is not None:
            reason = f"sessions of users with more than {self.sessions_of_user:,} sessions"
            rules.append((reason, self._by_sessions, ("user_id",)))
        if self.events_of_user is not None:
            reason = f"sessions of users with more than {self.events_of_user:,} events"
            rules.append((reason, self._by_events, ("user_id",)))
        if self.sessions_an_hour is not None:
            reason = f"sessions of users with more than {self.sessions_an_hour:,} sessions an hour"
            rules.append((reason, self._by_hour, ("user_id", "timestamp")))
        if self.every_result_of is not None:
            rules.append(("sessions with an event on every result (robots)", self._by_every_result, ()))
        out = np.zeros(len(inputs), dtype=np.bool_)
        dropped: Counter[str] = Counter()
        notes: list[str] = []
        for reason, broken, columns in rules:
            lacking = next((column for column in columns if lacks(inputs, column)), None)
            if lacking is not None:
                notes.append(lacking_note(f"robots ({reason})", lacking, f"a {lacking}"))
                continue
            found = broken(inputs)
            dropped[reason] += int((found & ~out).sum())
            out |= found
        left = inputs.select(~out) if out.any() else inputs
        return Converted(left, {reason: count for reason, count in dropped.items() if count}, notes=tuple(notes))

    def _by_agent(self, inputs: FineTuningInputs) -> NDArray[np.bool_]:
        coded = inputs.table.column("user_agent").combine_chunks().dictionary_encode()
        patterns = [re.compile(pattern, re.IGNORECASE) for pattern in self.user_agents or ()]
        is_robot = [any(pattern.search(agent) for pattern in patterns) for agent in coded.dictionary.to_pylist()]
        found = pc.fill_null(pa.array([*is_robot, False]).take(coded.indices), False)
        return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.bool_)

    def _by_sessions(self, inputs: FineTuningInputs) -> NDArray[np.bool_]:
        users = inputs.user_numbers
        return _of_users(users, np.bincount(users[users >= 0]) > (self.sessions_of_user or 0))

    def _by_events(self, inputs: FineTuningInputs) -> NDArray[np.bool_]:
        users = inputs.user_numbers
        known = users >= 0
        counts = np.bincount(users[known], weights=inputs.events_of_sessions[known])
        return _of_users(users, counts > (self.events_of_user or 0))

    def _by_hour(self, inputs: FineTuningInputs) -> NDArray[np.bool_]:
        users, seconds, limit = inputs.user_numbers, inputs.timestamps, self.sessions_an_hour or 0
        known = np.flatnonzero((users >= 0) & ~np.isnan(seconds))
        order = known[np.lexsort((seconds[known], users[known]))]
        # The session that comes `limit` after another one of the same user: both within an hour, that is one too many.
        first, last = order[: max(len(order) - limit, 0)], order[limit:]
        fast = (users[first] == users[last]) & (seconds[last] - seconds[first] < _HOUR)
        is_robot = np.zeros(int(users.max(initial=-1)) + 1, dtype=np.bool_)
        is_robot[users[first[fast]]] = True
        return _of_users(users, is_robot)

    def _by_every_result(self, inputs: FineTuningInputs) -> NDArray[np.bool_]:
        lengths = np.diff(inputs.offsets)
        return np.asarray(
            (lengths >= (self.every_result_of or 0)) & (inputs.events_of_sessions == lengths) & ~inputs.is_judged,
            dtype=np.bool_,
        )


def _of_users(users: NDArray[np.int64], chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`bool[sessions]`: sessions of the chosen users (bool[users])."""
    return np.asarray((users >= 0) & np.append(chosen, False)[users], dtype=np.bool_)
