"""Which fields of a user's files hold what, and the check of a line against them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    StringConstraints,
    Tag,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
)

from hft.data.plain_values import as_id
from hft.errors import ConfigError
from hft.moments import epoch_seconds, epoch_unit

Name = Annotated[str, StringConstraints(min_length=1)]
NonEmpty = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class FieldNames(BaseModel):
    """Names of the fields in the files of sessions and of items. A dot leads into a nested object.

    Args:
        session_id: id of the session; where no line has it, the line's number serves.
        query: the query's text.
        results: ids of the results shown, in the order shown.
        events: what was done with them: ids of picked results, or objects. Entries of a plain list are ids always.
        weights: a field with a weight for each result, which takes the place of the events; None: there is none.
        ranks: score of each result by which they were ordered. Optional.
        timestamp: ISO 8601, or seconds or milliseconds since 1970 (or less: hft.moments.epoch_unit). Optional.
        is_irrelevant: whether the session is flagged as irrelevant. Optional.
        batch_id: the batch that the session came with. Optional.
        group: what data/splitter=by_group keeps together, for example the user. Optional.
        split: train, validation or test, for data/splitter=given. Optional.
        user_id: who asked; for data/splitter=by_user and for rules about robots. Optional.
        sort_by: what the results were sorted by (relevance, price, ...); none says relevance. Optional.
        user_agent: of the user's program, for rules about robots. Optional.
        event_item_id: inside an event object, the id of the result.
        event_type: inside an event object, its type (click, cart, ...).
        event_weight: inside an event object, its weight; it wins over the type's.
        event_dwell: inside an event object, how many seconds the user stayed with the result. Optional.
        item_id: id of the item.
        title: title of the item. Optional.
        text: the field that is the item's text, alone, or a list of fields that make it. None: `title` and `text`,
            where both are there (or what the model that a run starts from was trained on).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    session_id: Name = "session_id"
    query: Name = "query"
    results: Name = "results"
    events: Name = "events"
    weights: Name | None = None
    ranks: Name = "ranks"
    timestamp: Name = "timestamp"
    is_irrelevant: Name = "is_irrelevant"
    batch_id: Name = "batch_id"
    group: Name = "group"
    split: Name = "split"
    user_id: Name = "user_id"
    sort_by: Name = "sort_by"
    user_agent: Name = "user_agent"
    event_item_id: Name = "item_id"
    event_type: Name = "type"
    event_weight: Name = "weight"
    event_dwell: Name = "dwell"
    item_id: Name = "item_id"
    title: Name = "title"
    text: Name | Annotated[list[Name], Field(min_length=1)] | None = None

    @field_validator("weights")
    @classmethod
    def _is_not_beside_events(cls, weights: str | None, info: ValidationInfo) -> str | None:
        events = info.data.get("events", "events")
        if weights is not None and events not in ("events", weights):
            raise ValueError(f"it takes the place of data.source.fields.events={events}: leave one of them out")
        return weights

    @property
    def events_field(self) -> str:
        """The field that says what was picked."""
        return self.weights or self.events

    def renamed(self) -> set[str]:
        """Fields that the user gave another name than hft's: those must be somewhere in the file."""
        return {name for name, field in FieldNames.model_fields.items() if getattr(self, name) != field.default}

    @property
    def text_fields(self) -> list[str] | None:
        """The fields that make an item's text; None: that is left open."""
        return [self.text] if isinstance(self.text, str) else self.text


_DEFAULTS = FieldNames().model_dump()


def field_names(given: Mapping[str, Any] | None) -> FieldNames:
    """FieldNames from the config's `data.source.fields`.

    Raises:
        ConfigError: an unknown or malformed entry; names the nearest right spelling.
    """
    plain = {
        str(name): value if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
        for name, value in (given or {}).items()
    }
    # A config may list every name; one that is the default asks for nothing, so the field stays optional.
    plain = {name: value for name, value in plain.items() if value != _DEFAULTS.get(name)}
    try:
        return FieldNames.model_validate(plain)
    except ValidationError as error:
        fault = error.errors()[0]
    name = str(fault["loc"][0])
    if name in FieldNames.model_fields:
        raise ConfigError(f"data.source.fields.{name}: {fault['msg']}, found {plain[name]!r}.")
    near = difflib.get_close_matches(name, FieldNames.model_fields, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ConfigError(
        f"data.source.fields.{name}: no such field.{hint} Expected: {', '.join(FieldNames.model_fields)}."
    )


def _known_stay(seconds: float | None) -> float | None:
    """Below 0 logs write what they do not know."""
    return None if seconds is None or seconds < 0 else seconds


def _as_text(value: Any) -> Any:
    """A text of whatever tells one user, order or program from another; none for an empty one."""
    if isinstance(value, dict | list | bool):
        return json.dumps(value, sort_keys=True, ensure_ascii=False) if value else None
    return None if isinstance(value, str) and not value.strip() else _label(value)


def _label(value: Any) -> str | None:
    return None if value is None else as_id(value)


def _kind_of_event(event: Any) -> str:
    return "object" if isinstance(event, Mapping) else "id"


Id = Annotated[str, BeforeValidator(as_id)]
Label = Annotated[str | None, BeforeValidator(_label)]
Stay = Annotated[FiniteFloat | None, AfterValidator(_known_stay)]
Told = Annotated[str | None, BeforeValidator(_as_text)]


class EventRecord(BaseModel):
    """An event given as an object."""

    model_config = ConfigDict(extra="ignore")

    item_id: Id
    type: Label = None
    weight: Annotated[FiniteFloat, Field(ge=0.0)] | None = None
    dwell: Stay = None


class SessionRecord(BaseModel):
    """A line of sessions, checked. Lives for the length of a line."""

    model_config = ConfigDict(coerce_numbers_to_str=True, extra="ignore")

    session_id: Label = None
    query: NonEmpty
    results: Annotated[list[Id], Field(min_length=1)]
    events: list[Any] | None = None  # of ids and EventRecord; where fields.weights is given, of numbers
    ranks: list[FiniteFloat] | None = None
    timestamp: FiniteFloat | datetime | None = None
    is_irrelevant: bool | None = None
    batch_id: Label = None
    group: Label = None
    split: Label = None
    user_id: Told = None
    sort_by: Told = None
    user_agent: Told = None

    @property
    def seconds(self) -> float | None:
        """The timestamp in seconds since the epoch; one without a zone is taken as UTC."""
        moment = self.timestamp
        if isinstance(moment, datetime):
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        return None if moment is None else epoch_seconds(moment)

    @property
    def time_unit(self) -> str | None:
        """What the timestamp counts since 1970; None where it is no number."""
        return None if self.timestamp is None or isinstance(self.timestamp, datetime) else epoch_unit(self.timestamp)


def session_record(names: FieldNames) -> type[SessionRecord]:
    """SessionRecord reading its fields under the user's names."""
    event = create_model(
        "NamedEvent",
        __base__=EventRecord,
        item_id=(Id, Field(validation_alias=_alias(names.event_item_id))),
        type=(Label, Field(None, validation_alias=_alias(names.event_type))),
        weight=(
            Annotated[FiniteFloat, Field(ge=0.0)] | None,
            Field(None, validation_alias=_alias(names.event_weight)),
        ),
        dwell=(Stay, Field(None, validation_alias=_alias(names.event_dwell))),
    )
    fields: dict[str, Any] = {}
    for name, field in SessionRecord.model_fields.items():
        annotation: Any = field.rebuild_annotation()
        if name == "events":
            entry: Any = Annotated[Id, Tag("id")] | Annotated[event, Tag("object")]
            ids_and_objects: Any = list[Annotated[entry, Discriminator(_kind_of_event)]]
            annotation = (ids_and_objects if names.weights is None else list[FiniteFloat]) | None
        alias = _alias(names.events_field if name == "events" else getattr(names, name))
        default = ... if field.is_required() else field.default
        fields[name] = (annotation, Field(default, validation_alias=alias))
    return create_model("NamedSession", __base__=SessionRecord, **fields)


def _alias(name: str) -> str | AliasChoices:
    return AliasChoices(name, AliasPath(*name.split("."))) if "." in name else name
