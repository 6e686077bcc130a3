"""How texts are made of records: what a run declares of it, so that its model gets the same texts ever after."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, Protocol, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from hft.data.field_values import as_text, look_up
from hft.data.item_text import ItemJson, ItemTemplate, ItemText, ItemTextComposer
from hft.data.parts import (
    ItemSplitter,
    JsonFieldSplitter,
    RegexSplitter,
    SentenceSplitter,
    SeparatorSplitter,
    TokenGroupTextSplitter,
)
from hft.data.query_retriever import QueryRetriever
from hft.data.text_normalizer import FieldsNormalizer
from hft.errors import ConfigError

Name = Annotated[str, Field(min_length=1, max_length=1000)]
Node = dict[str, Any]

# What a declaration may build: it can come with a model from elsewhere.
_COMPONENTS: dict[str, type[Any]] = {
    **{f"hft.data.{kind.__name__}": kind for kind in (ItemTemplate, ItemJson, FieldsNormalizer, QueryRetriever)},
    **{
        f"hft.data.parts.{kind.__name__}": kind
        for kind in (SentenceSplitter, SeparatorSplitter, RegexSplitter, JsonFieldSplitter, TokenGroupTextSplitter)
    },
}
_MOST_NAMED = 6


class RecordTexts(BaseModel):
    """How the records of one source become the texts of items.

    Args:
        fields: these, joined by line ends, what is empty left out; None: `item_text` makes the text.
        item_text: a node of hft.data.ItemTemplate or ItemJson.
        normalizer: a node of hft.data.FieldsNormalizer, through which a record goes first.
        id_field: of the item's id, which is no part of a text of all fields.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fields: Annotated[list[Name], Field(min_length=1, max_length=100)] | None = None
    item_text: Node | None = None
    normalizer: Node | None = None
    id_field: Name = "item_id"

    @cached_property
    def normalizes(self) -> FieldsNormalizer | None:
        """The normaliser.

        Raises:
            ConfigError: it is none of hft's own, or malformed.
        """
        return None if self.normalizer is None else _built(self.normalizer, "normalizer", FieldsNormalizer)

    @cached_property
    def makes(self) -> ItemText:
        """What makes the text of a normalised record.

        Raises:
            ConfigError: it is none of hft's own, or malformed.
        """
        if self.item_text is None:
            return ItemTextComposer(self.fields or ["text"])
        found: ItemText = _built(self.item_text, "item_text", (ItemTemplate, ItemJson))
        return found

    def text_of(self, record: Mapping[str, Any]) -> str:
        """The text of a record as it stands in its file; empty where no field has content."""
        return self._text_of(record if self.normalizes is None else self.normalizes(record))

    def text_if_there(self, record: Mapping[str, Any]) -> str | None:
        """The same; None where the record has none of the fields."""
        record = record if self.normalizes is None else self.normalizes(record)
        is_there = not self.makes.fields or any(look_up(record, field)[0] for field in self.makes.fields)
        return self._text_of(record) if is_there else None

    def _text_of(self, record: Mapping[str, Any]) -> str:
        if self.makes.takes_all:
            record = {name: value for name, value in record.items() if name != self.id_field}
        return self.makes.compose(record)

    def makes_the_texts_of(self, other: RecordTexts) -> bool:
        """Whether both make the same text of a record."""
        return self.model_copy(update={"id_field": other.id_field}) == other

    def in_words(self) -> str:
        """What makes the text, for people: `title, text`, or the template's lines."""
        if self.item_text is None:
            return ", ".join(self.fields or ["text"])
        template = self.item_text.get("template")
        if template is not None:
            return f"the template {template if isinstance(template, str) else ' / '.join(map(str, template))}"
        kind, fields = str(self.item_text.get("_target_")).rpartition(".")[2], self.item_text.get("fields")
        return f"{kind} of {', '.join(map(str, fields)) if fields else 'all fields'}"


class TextDeclaration(BaseModel):
    """How a model's texts are made: those of items, and those of queries.

    Args:
        version: of this layout.
        items: by name of the source within hft.data.AggregatedSource; a single source has the name ``.
        joined_at: separator between an item's id and a part's, where parts are joined (hft.data.parts.JoinedParts).
        item_splitter: a node of hft.data.parts that cuts an item's text into parts, each with a vector of its own.
        query_field: of the query in a session's record; None: sources differ in it.
        query_retriever: a node of hft.data.QueryRetriever, which takes the query out of a record.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    items: Annotated[dict[str, RecordTexts], Field(min_length=1, max_length=1000)]
    joined_at: Name | None = None
    item_splitter: Node | None = None
    query_field: Name | None = None
    query_retriever: Node | None = None

    @classmethod
    def read(cls, values: object, where: str) -> TextDeclaration:
        """A declaration from plain values that nobody vouches for: nothing but hft's own kinds is ever built of it.

        Args:
            values: as `to_plain` gave them.
            where: they stand, for messages.

        Raises:
            ConfigError: it is none, or names a component that is not hft's own.
        """
        try:
            found = cls.model_validate(values)
        except ValidationError as error:
            fault = error.errors()[0]
            raise ConfigError(
                f"{where}: {'.'.join(map(str, fault['loc'])) or 'it'}: {fault['msg']}. It says how texts are made of "
                "records; restore it, or say the fields yourself (hft embed --field NAME)."
            ) from None
        return found

    def to_plain(self) -> dict[str, Any]:
        """Plain values, fit for JSON and YAML; what says nothing is left out."""
        return {"version": self.version, **self.model_dump(exclude_defaults=True)}

    def of(self, source: str) -> RecordTexts:
        """How the records of a source become texts.

        Args:
            source: its name; `` of a single one.

        Raises:
            ConfigError: the declaration knows several sources, and not this one.
        """
        if source in self.items:
            return self.items[source]
        kinds = list(self.items.values())
        if any(kind != kinds[0] for kind in kinds[1:]):
            raise ConfigError(
                f"the fields of items differ between the sources {', '.join(list(self.items)[:_MOST_NAMED])}, so that "
                "nothing says which are meant. Name them: --field NAME, or data.source.fields.text=[NAME, ...]"
            )
        return kinds[0]

    @cached_property
    def splitter(self) -> ItemSplitter | None:
        """What cuts the texts of items into parts; None: they stay whole.

        Raises:
            ConfigError: it is none of hft's own, or malformed.
        """
        return None if self.item_splitter is None else _built(self.item_splitter, "item_splitter", ItemSplitter)

    @cached_property
    def retriever(self) -> QueryRetriever | None:
        """What takes the query out of a record; None: it is a field.

        Raises:
            ConfigError: it is none of hft's own, or malformed.
        """
        return None if self.query_retriever is None else _built(self.query_retriever, "query_retriever", QueryRetriever)

    def maker(self, side: Literal["query", "items"]) -> TextMaker:
        """Makes the texts of a side.

        Raises:
            ConfigError: sources differ in what makes them.
        """
        return QueryTexts(self) if side == "query" else ItemTexts(self.of(""))

    def in_words(self) -> str:
        """What makes the texts of items, for people, in one line."""
        told = {name: texts.in_words() for name, texts in self.items.items()}
        if len(set(told.values())) == 1:
            return next(iter(told.values()))
        return "; ".join(f"{name}: {words}" for name, words in told.items())


class TextMaker(Protocol):
    """Makes texts of one side.

    Attributes:
        fields: of records that the texts are made of.
        words: the same, for people.
    """

    @property
    def fields(self) -> Sequence[str]: ...

    @property
    def words(self) -> str: ...

    def of_record(self, record: Mapping[str, Any]) -> str | None:
        """The text of a record; None where it has none of the fields."""

    def of_line(self, line: str) -> str:
        """A text that stands by itself, normalised as those of records are."""


class ItemTexts:
    """Makes texts of items.

    Args:
        texts: how.
    """

    def __init__(self, texts: RecordTexts) -> None:
        self._texts = texts
        self.fields = list(texts.makes.fields)
        self.words = texts.in_words()

    def of_record(self, record: Mapping[str, Any]) -> str | None:
        """See TextMaker."""
        return self._texts.text_if_there(record)

    def of_line(self, line: str) -> str:
        """See TextMaker."""
        return line if self._texts.normalizes is None else self._texts.normalizes.texts(line)


class QueryTexts:
    """Makes texts of queries. A record without the declared field may have its query under `text`.

    Args:
        declaration: says where a query stands.
    """

    def __init__(self, declaration: TextDeclaration) -> None:
        self._retriever = declaration.retriever
        field = declaration.query_field or "query"
        self.fields = list(dict.fromkeys((field, "text"))) if self._retriever is None else self._retriever.fields
        self.words = " or else ".join(self.fields) if self._retriever is None else ", ".join(self.fields)

    def of_record(self, record: Mapping[str, Any]) -> str | None:
        """See TextMaker."""
        there = [field for field in self.fields if look_up(record, field)[0]]
        if self._retriever is not None:
            return self._retriever(record) if there else None
        return as_text(look_up(record, there[0])[1]).strip() if there else None

    def of_line(self, line: str) -> str:
        """See TextMaker."""
        return line if self._retriever is None else self._retriever.texts(line)


def _built(node: Mapping[str, Any], part: str, kinds: type | tuple[type, ...]) -> Any:
    target = node.get("_target_")
    kind = _COMPONENTS.get(str(target))
    if kind is None or not issubclass(kind, kinds):
        raise ConfigError(
            f"{part}: the texts were made by {str(target)[:100]!r}, which is not hft's own and is not run here. Make "
            "the texts with it yourself, and give them as a file of texts (.txt, or --field NAME)."
        )
    given = {name: value for name, value in node.items() if name not in ("_target_", "_convert_")}
    try:
        checked = _arguments(kind).model_validate(given)
    except ValidationError as error:
        fault = error.errors()[0]
        raise ConfigError(f"{part}.{'.'.join(map(str, fault['loc']))}: {fault['msg']}.") from None
    return kind(**{name: getattr(checked, name) for name in given})


def _arguments(kind: type[Any]) -> type[BaseModel]:
    """The arguments of a component, to check plain values against."""
    init: Callable[..., None] = kind.__init__
    hints = get_type_hints(init, include_extras=True)
    parameters = list(inspect.signature(init).parameters.values())[1:]
    fields: Any = {
        one.name: (hints[one.name], ... if one.default is inspect.Parameter.empty else one.default)
        for one in parameters
    }
    return create_model(f"{kind.__name__}Arguments", __config__=ConfigDict(extra="forbid"), **fields)
