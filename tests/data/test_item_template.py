"""Items that are dictionaries: which of their fields make their text, and how."""

from __future__ import annotations

import json
from datetime import date, datetime

import pytest

from hft.data import BeirFolder, FieldsNormalizer, ItemJson, ItemTemplate, Quarantine, SessionFiles, TextNormalizer
from hft.errors import ConfigError, DataError

MOVIE = {
    "_id": "1",
    "title": "Black Adam",
    "metadata": {"year": 2022.0, "genres": ["Action", "Fantasy", "War"], "tags": []},
    "cast": [{"name": "Shahi", "born": 1980}, {"name": "Johnson"}],
    "rating": 6.863,
    "released": "2022-10-21",
    "seen": 1666310400,
    "text": "Nearly 5,000 years after",
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{title}", "Black Adam"),
        ("{title} ({metadata.year})", "Black Adam (2022)"),
        ("{metadata.genres}", "Action, Fantasy, War"),
        ('{metadata.genres|first 2|join " / "}', "Action / Fantasy"),
        ("{cast.name}", "Shahi, Johnson"),
        ("{rating|number .1f}", "6.9"),
        ("{title|number .1f}", "Black Adam"),
        ("{released|date %d %B %Y}", "21 October 2022"),
        ("{seen|date}", "2022-10-21"),
        ("{title|upper}, {title|lower}", "BLACK ADAM, black adam"),
        ("{text|words 2}", "Nearly 5,000"),
        ("{director?|or unknown}", "unknown"),
        ("{title}\nTags: {metadata.tags}\nby {director?}", "Black Adam"),
        ("{title}[[ by {director?}]][[ of {metadata.year}]]", "Black Adam of 2022"),
        (["{title}", "{{in braces}}", "{rating}"], "Black Adam\n{in braces}\n6.863"),
        ("{director?}: nothing", ""),
    ],
)
def test_a_template_makes_the_text(template, expected):
    assert ItemTemplate(template).compose(MOVIE) == expected


def test_without_a_template_every_field_has_a_line_under_its_name():
    text = ItemTemplate(names={"metadata.year": "Year of release", "text": ""}, exclude=["cast", "seen"]).compose(MOVIE)
    assert text.splitlines() == [
        "Id: 1",
        "Title: Black Adam",
        "Year of release: 2022",
        "Genres: Action, Fantasy, War",
        "Rating: 6.863",
        "Released: 2022-10-21",
        "Nearly 5,000 years after",
    ]


def test_chosen_fields_stand_in_their_order():
    assert (
        ItemTemplate(fields=["rating", "metadata.tags", "title"]).compose(MOVIE) == "Rating: 6.863\nTitle: Black Adam"
    )


def test_times_of_parquet_read_as_dates():
    record = {"day": date(2020, 1, 2), "midnight": datetime(2020, 1, 2), "is_new": True}
    assert ItemTemplate().compose(record) == "Day: 2020-01-02\nMidnight: 2020-01-02\nIs new: yes"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{title|frist 3}", r"'frist' is no filter\. Did you mean 'first'\?"),
        ("{title|first three}", r"'first three' is malformed: expected a whole number above 0, found 'three'"),
        ("{rating|number ?!}", r"the filter 'number \?!' is malformed"),
        ("{title", r"a lone '\{' at character 1 of '\{title'"),
        ("[[{title}", r"'\[\[' is not closed"),
        ("{title}]]", r"'\]\]' closes nothing"),
        ("a film", r"names no field"),
        ("{}", r"'\{\}' names no field"),
    ],
)
def test_a_malformed_template_is_refused_with_what_is_wrong(template, message):
    with pytest.raises(ConfigError, match=r"data\.source\.item_text\.template: .*" + message):
        ItemTemplate(template)


def test_a_template_and_a_list_of_fields_are_too_much():
    with pytest.raises(ConfigError, match=r"item_text\.fields: has no effect beside"):
        ItemTemplate("{title}", fields=["title"])


def test_the_chosen_fields_as_json():
    assert json.loads(ItemJson(["title", "metadata.genres", "metadata.tags", "none"]).compose(MOVIE)) == {
        "title": "Black Adam",
        "metadata.genres": ["Action", "Fantasy", "War"],
    }
    assert ItemJson().compose({"a": None}) == ""


def test_a_template_makes_the_texts_of_a_folder_and_a_wrong_field_is_named(write, tmp_path):
    write("corpus.jsonl", [MOVIE, {**MOVIE, "_id": "2", "title": "Smile", "metadata": {}}])
    write("queries.jsonl", [{"_id": "q", "text": "adam"}])
    write("qrels/train.tsv", ["q\t1\t1", "q\t2\t0"])
    template = "{title}[[ ({metadata.year})]]"
    items = BeirFolder(tmp_path, reading="shown", item_text=ItemTemplate(template)).read(Quarantine()).items
    assert items.texts == ["Black Adam (2022)", "Smile"]
    assert items.titles == ["Black Adam", "Smile"]
    wrong = BeirFolder(tmp_path, item_text=ItemTemplate("{title} {metadata.yaer}"))
    with pytest.raises(DataError, match=r"'metadata\.yaer' \(did you mean 'metadata\.year'\?\).*item_text\.template\."):
        wrong.read(Quarantine())


def test_records_of_any_schema_are_read_under_other_names(write):
    items = write(
        "items.jsonl",
        [
            {"sku": 7, "product": {"name": "  Za\u0301kop "}, "about": "N/A", "internal": "x"},
            {"sku": 8, "product": {"name": "خيمة"}, "about": "للتخييم 🏕️", "internal": "x"},
        ],
    )
    sessions = write("sessions.jsonl", [{"query": "tent", "results": ["7", "8"], "events": ["8"]}])
    normalizer = FieldsNormalizer({"sku": "item_id", "product.name": "title"}, ["internal"], ["N/A"])
    fields = {"text": ["title", "about"]}
    data = SessionFiles(sessions, items, fields, normalizer=normalizer).read(Quarantine())
    assert data.items.ids == ["7", "8"]
    assert data.items.texts == ["Zákop", "خيمة\nللتخييم 🏕️"]
    everything = SessionFiles(sessions, items, normalizer=normalizer, item_text=ItemTemplate(exclude=["product"]))
    assert everything.read(Quarantine()).items.texts[0] == "Sku: 7\nTitle: Zákop"
    wrong = SessionFiles(sessions, items, fields, normalizer=FieldsNormalizer({"skuu": "item_id"}))
    with pytest.raises(DataError, match=r"'skuu' \(did you mean 'sku'\?\).*normalizer\.rename"):
        wrong.read(Quarantine())


def test_the_id_is_no_part_of_a_text_that_takes_every_field(write):
    items = write("items.jsonl", [{"item_id": str(n), "name": f"n{n}"} for n in range(2)])
    sessions = write("sessions.jsonl", [{"query": "n", "results": ["0", "1"], "events": ["0"]}])
    data = SessionFiles(sessions, items, item_text=ItemTemplate()).read(Quarantine())
    assert data.items.texts == ["Name: n0", "Name: n1"]


def test_a_text_is_normalised_as_told():
    assert TextNormalizer()(" e\u0301 ") == "é"
    assert TextNormalizer(unicode=None, strip=False)(" e\u0301 ") == " e\u0301 "
    assert TextNormalizer("NFKC", collapse_blanks=True, lower=True)(" ＡＢ\n\tC ") == "ab c"


def test_what_decides_the_texts_is_part_of_the_identity_of_the_source(write):
    files = write("s.jsonl", ["{}"]), write("i.jsonl", ["{}"])

    class Mine:
        fields, key, takes_all = (), "", False

        def compose(self, record):
            return "x"

    told = [
        SessionFiles(*files, item_text=text).identity().options
        for text in (None, ItemTemplate("{a}"), ItemTemplate("{b}"))
    ]
    assert told[0] != told[1] != told[2]
    json.dumps(told)
    with pytest.raises(TypeError, match="Mine does not say"):
        SessionFiles(*files, item_text=Mine()).identity()


def test_empty_values_are_normalised_as_the_texts_that_they_are_compared_with() -> None:
    """Written as in the file, they mean what they say there, whatever the texts become."""
    normalizer = FieldsNormalizer(
        empty_values=["N/A", " none  given ", "\uff0d"], unicode="NFKC", collapse_blanks=True, lower=True
    )
    record = {"a": "N/A", "b": "n/a ", "c": "none given", "d": "\uff0d", "e": "Tent"}
    assert normalizer(record) == {"a": None, "b": None, "c": None, "d": None, "e": "tent"}
