"""columns: as named, or guessed and said; every refusal names what is there."""

import pyarrow as pa
import pytest

from scorer import SourceError
from scorer.data.arrow import is_text
from scorer.data.columns import Columns, choose_columns
from tests.support.facts import facts

TEXT, INT = pa.string(), pa.int64()


def schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


class TestGuesses:
    @pytest.mark.parametrize("name", ["text", "sentence", "content", "review", "body", "tweet", " Text ", "\ufeffTEXT"])
    def test_a_text_column_by_its_name(self, name: str) -> None:
        found = choose_columns(schema(other=TEXT, **{name: TEXT}, label=INT))
        assert (found.text, found.text_pair, found.label, found.id) == (name, None, "label", None)
        assert found.guessed == ("text", "label")

    @pytest.mark.parametrize("name", ["title", "headline", "question", "abstract"])
    def test_a_name_of_a_part_only_if_it_is_alone(self, name: str) -> None:
        assert choose_columns(schema(**{name: TEXT}, label=INT)).text == name
        with pytest.raises(SourceError, match=facts(f"other, {name}", "`text_column`")):
            choose_columns(schema(other=TEXT, **{name: TEXT}, label=INT))

    def test_the_more_usual_name_first(self) -> None:
        assert choose_columns(schema(title=TEXT, text=TEXT)).text == "text"
        assert choose_columns(schema(title=TEXT, content=TEXT)).text == "content"

    def test_a_name_that_is_not_text_is_passed_over(self) -> None:
        assert choose_columns(schema(text=pa.list_(TEXT), title=TEXT)).text == "title"

    def test_the_only_text_column(self) -> None:
        found = choose_columns(schema(id=INT, utterance=TEXT, label=TEXT))
        assert (found.text, found.label, found.id) == ("utterance", "label", None)

    def test_the_only_text_column_that_is_not_named_for_something_else(self) -> None:
        columns = schema(uid=TEXT, utterance=TEXT, intent=TEXT)
        assert choose_columns(columns, label="intent", id="uid").text == "utterance"
        assert choose_columns(schema(title=TEXT, body=TEXT, topic=TEXT), label="title").text == "body"
        assert choose_columns(schema(text=TEXT, label=INT), id="text").text == "text"
        found = choose_columns(schema(text=TEXT, reply=TEXT, label=INT), text_pair="text")
        assert (found.text, found.text_pair) == ("reply", "text")

    @pytest.mark.parametrize(
        "pair", [("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2")]
    )
    def test_pairs(self, pair: tuple[str, str]) -> None:
        found = choose_columns(schema(idx=INT, **dict.fromkeys(pair, TEXT), label=INT))
        assert (found.text, found.text_pair, found.label) == (*pair, "label")
        assert found.guessed == ("text", "text_pair", "label")

    def test_half_a_pair_is_none(self) -> None:
        found = choose_columns(schema(premise=TEXT, label=INT))
        assert (found.text, found.text_pair) == ("premise", None)
        assert choose_columns(schema(sentence2=TEXT, premise=TEXT, hypothesis=TEXT)).text == "premise"

    def test_no_pair_where_the_text_is_named(self) -> None:
        found = choose_columns(schema(premise=TEXT, hypothesis=TEXT), text="premise")
        assert (found.text, found.text_pair, found.guessed) == ("premise", None, ("label",))

    @pytest.mark.parametrize("name", ["label", "labels", "class", "category", "target"])
    def test_labels(self, name: str) -> None:
        assert choose_columns(schema(text=TEXT, **{name: INT})).label == name

    def test_no_label(self) -> None:
        assert choose_columns(schema(text=TEXT, score=pa.float64())).label is None

    def test_the_label_is_no_column_that_has_another_part(self) -> None:
        found = choose_columns(schema(label=TEXT, labels=INT), text="label")
        assert (found.text, found.label) == ("label", "labels")

    def test_the_id_is_never_guessed(self) -> None:
        assert choose_columns(schema(id=INT, text=TEXT)).id is None

    def test_several_columns_of_text(self) -> None:
        with pytest.raises(
            SourceError,
            match=facts("text (subject, reply)", "`text_column`", "columns are: subject, reply, label"),
        ):
            choose_columns(schema(subject=TEXT, reply=TEXT, label=TEXT))

    def test_no_column_of_text(self) -> None:
        with pytest.raises(SourceError, match=facts("no column holds text", "`text_column`", "columns are: a, label")):
            choose_columns(schema(a=INT, label=TEXT))


class TestNamed:
    def test_all_of_them(self) -> None:
        columns = schema(key=INT, a=TEXT, b=TEXT, y=INT)
        found = choose_columns(columns, text="a", text_pair="b", label="y", id="key")
        assert found == Columns("a", "b", "y", "key")
        assert found.guessed == ()
        assert found.names() == ["a", "b", "y", "key"]
        assert found.to_dict() == {"text": "a", "text_pair": "b", "label": "y", "id": "key"}

    def test_a_column_with_two_parts_is_read_once(self) -> None:
        assert choose_columns(schema(a=TEXT, label=INT), text="a", id="a").names() == ["a", "label"]

    @pytest.mark.parametrize("option", ["text", "text_pair", "label", "id"])
    def test_a_mistyped_name(self, option: str) -> None:
        with pytest.raises(SourceError, match=facts("'Hedline'", "did you mean 'headline'?", "headline, label")):
            choose_columns(schema(headline=TEXT, label=INT), **{option: "Hedline"})

    def test_another_case_of_the_name(self) -> None:
        with pytest.raises(SourceError, match=facts("'text'", "did you mean 'TEXT'?")):
            choose_columns(schema(TEXT=TEXT), text="text")

    def test_a_name_that_is_like_no_other(self) -> None:
        with pytest.raises(SourceError, match=facts("'xyzzy'", "headline, label")):
            choose_columns(schema(headline=TEXT, label=INT), text="xyzzy")


class TestTypes:
    @pytest.mark.parametrize(
        "kind",
        [
            TEXT,
            pa.large_string(),
            pa.string_view(),
            pa.dictionary(pa.int8(), TEXT),
            pa.dictionary(pa.int32(), pa.large_string()),
        ],
    )
    def test_text(self, kind: pa.DataType) -> None:
        assert is_text(kind)
        assert choose_columns(schema(a=kind, b=INT)).text == "a"

    @pytest.mark.parametrize("kind", [INT, pa.list_(TEXT), pa.binary(), pa.dictionary(pa.int8(), INT)])
    @pytest.mark.parametrize("role", ["text", "text_pair"])
    def test_that_is_not_text(self, kind: pa.DataType, role: str) -> None:
        assert not is_text(kind)
        with pytest.raises(
            SourceError, match=facts("column 'a'", "not text", "columns of text: b, c", f"`{role}_column`")
        ) as caught:
            choose_columns(schema(a=kind, b=TEXT, c=TEXT), **{"text": "b", role: "a"})
        assert f"type {kind}," in str(caught.value)

    def test_that_is_not_text_where_nothing_is(self) -> None:
        with pytest.raises(SourceError, match=facts("'a'", "int64", "none", "_column`")):
            choose_columns(schema(a=INT), text="a")

    @pytest.mark.parametrize("name", ["sentence1", "sentence2"])
    def test_a_guessed_pair_that_is_not_text(self, name: str) -> None:
        columns = schema(**{"sentence1": TEXT, "sentence2": TEXT, name: INT})
        with pytest.raises(SourceError, match=facts(f"'{name}'", "int64", "not text")):
            choose_columns(columns)

    @pytest.mark.parametrize(
        "kind",
        [TEXT, INT, pa.uint8(), pa.float64(), pa.bool_(), pa.null(), pa.dictionary(pa.int8(), TEXT), pa.string_view()],
    )
    def test_labels(self, kind: pa.DataType) -> None:
        assert choose_columns(schema(text=TEXT, label=kind)).label == "label"

    @pytest.mark.parametrize("kind", [pa.list_(pa.list_(INT)), pa.struct([("a", INT)]), pa.timestamp("s"), pa.binary()])
    def test_that_are_no_labels(self, kind: pa.DataType) -> None:
        with pytest.raises(SourceError, match=facts("column 'label'", "text or whole numbers", "`label_column`")):
            choose_columns(schema(text=TEXT, label=kind))

    @pytest.mark.parametrize(
        "kind",
        [
            TEXT,
            pa.string_view(),
            INT,
            pa.float64(),
            pa.bool_(),
            pa.null(),
            pa.date32(),
            pa.timestamp("us"),
            pa.decimal128(5, 2),
        ],
    )
    def test_ids(self, kind: pa.DataType) -> None:
        assert choose_columns(schema(text=TEXT, key=kind), id="key").id == "key"
        assert choose_columns(schema(text=TEXT, key=pa.dictionary(pa.int8(), kind)), id="key").id == "key"
        assert pa.nulls(2, kind).cast(pa.string()).null_count == 2  # as the window does

    @pytest.mark.parametrize(
        "kind", [pa.list_(INT), pa.struct([("a", INT)]), pa.map_(TEXT, INT), pa.binary(), pa.binary(16)]
    )
    def test_that_are_no_ids(self, kind: pa.DataType) -> None:
        with pytest.raises(SourceError, match=facts("'key'", "`id_column`")):
            choose_columns(schema(text=TEXT, key=kind), id="key")

    @pytest.mark.parametrize(
        "kind", [pa.timestamp("us", "Foo/Bar"), pa.dictionary(pa.int8(), pa.timestamp("s", "X/Y"))]
    )
    def test_times_of_a_zone_that_is_not_known_here(self, kind: pa.DataType) -> None:
        with pytest.raises(SourceError, match=facts("'key'", "timezone", "`id_column`")):
            choose_columns(schema(text=TEXT, key=kind), id="key")
        assert choose_columns(schema(text=TEXT, key=kind)).id is None


def test_the_only_column_of_known_classes_is_the_label() -> None:
    columns = schema(text=TEXT, about=INT)
    assert choose_columns(columns).label is None
    assert choose_columns(columns, class_labels=["about"]).label == "about"
    assert choose_columns(schema(text=TEXT, a=INT, b=INT), class_labels=["a", "b"], no_label=True).label is None
    with pytest.raises(SourceError, match=facts("a, b", "`label_column`", "`no_label`")):
        choose_columns(schema(text=TEXT, a=INT, b=INT), class_labels=["a", "b"])
    assert choose_columns(schema(text=TEXT, label=INT, b=INT), class_labels=["b"]).label == "label"
