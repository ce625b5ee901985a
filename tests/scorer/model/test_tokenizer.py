"""tokens: the bundle's tokenizer with the bundle's limit, no padding, and an honest `truncated`."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from scorer import BundleError, ModelBundle
from scorer.model.tokenizer import BundleTokenizer, TokenWindow
from tests.support.facts import facts
from tests.support.tiny import MAX_TOKENS, VOCABULARY, make_bundle

CLS, SEP, UNK = VOCABULARY["[CLS]"], VOCABULARY["[SEP]"], VOCABULARY["[UNK]"]
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


@pytest.fixture(scope="module")
def pair_bundle(tiny_bundle: ModelBundle) -> ModelBundle:
    """A bundle whose model reads token_type_ids."""
    return replace(tiny_bundle, input_names=INPUTS)


@pytest.fixture(scope="module")
def pieces_bundle(tiny_bundle: ModelBundle, tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """A bundle whose tokenizer cuts words into pieces and drops control characters, as BERT's does."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "play", "playing", "##ing", "##i", "##n", "##g", "a", "b"]
    tokenizer = Tokenizer(WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    path = tmp_path_factory.mktemp("pieces")
    tokenizer.save(str(path / "tokenizer.json"))
    return replace(tiny_bundle, path=path)


def rows_of(window: TokenWindow) -> list[list[int]]:
    return [window.ids[a:b].tolist() for a, b in zip(window.offsets, window.offsets[1:], strict=False)]


def ids(text: str) -> list[int]:
    return [VOCABULARY.get(word, UNK) for word in text.split()]


def test_the_settings_of_the_file_are_replaced(tiny_bundle: ModelBundle) -> None:
    saved = json.loads(tiny_bundle.tokenizer_file.read_text())
    assert saved["truncation"]["max_length"] == 5  # what must not count
    assert saved["padding"]["strategy"] == {"Fixed": 128}
    text = "w1 w2 w3 w4 w5 w6 w7"
    window = BundleTokenizer(tiny_bundle).tokenise([text, "w9"])
    assert rows_of(window) == [[CLS, *ids(text), SEP], [CLS, VOCABULARY["w9"], SEP]]
    assert window.lengths.tolist() == [9, 3]
    assert window.truncated.tolist() == [False, False]


def test_types_of_the_window(tiny_bundle: ModelBundle) -> None:
    window = BundleTokenizer(tiny_bundle).tokenise(["w1 w2", ""])
    assert (window.ids.dtype, window.offsets.dtype, window.truncated.dtype) == (np.int32, np.int64, np.bool_)
    assert window.offsets.tolist() == [0, 4, 6]
    assert window.type_ids is None


def test_no_texts(tiny_bundle: ModelBundle) -> None:
    window = BundleTokenizer(tiny_bundle).tokenise([])
    assert (window.offsets.tolist(), window.ids.tolist(), window.lengths.tolist()) == ([0], [], [])


@pytest.mark.parametrize("limit", [MAX_TOKENS, 7])
@pytest.mark.parametrize(("beside_limit", "cut"), [(-1, False), (0, False), (1, True), (100, True)])
def test_truncated_at_the_limit(tiny_bundle: ModelBundle, limit: int, beside_limit: int, cut: bool) -> None:
    words = [f"w{i % 60}" for i in range(limit - 2 + beside_limit)]
    window = BundleTokenizer(tiny_bundle, limit).tokenise([" ".join(words), "w1"])
    assert rows_of(window)[0] == [CLS, *ids(" ".join(words))[: limit - 2], SEP]
    assert window.truncated.tolist() == [cut, False]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 70), max_size=60), max_size=12), st.integers(4, MAX_TOKENS))
def test_each_text_has_its_own_tokens(tiny_bundle: ModelBundle, texts: list[list[int]], limit: int) -> None:
    joined = [" ".join(f"w{i}" for i in text) for text in texts]
    window = BundleTokenizer(tiny_bundle, limit).tokenise(joined)
    assert rows_of(window) == [[CLS, *ids(text)[: limit - 2], SEP] for text in joined]
    assert window.truncated.tolist() == [len(text) > limit - 2 for text in texts]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.data(), st.booleans())
def test_some_of_the_texts_in_any_order(lengths: list[int], data: st.DataObject, type_ids: bool) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    each = np.arange(100, 100 + offsets[-1], dtype=np.int32)  # every token another number
    truncated = np.array([length % 2 == 1 for length in lengths])
    window = TokenWindow(offsets, each, -each if type_ids else None, truncated)
    rows = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=10))
    part = window.take(np.array(rows, dtype=np.int64))
    assert rows_of(part) == [rows_of(window)[row] for row in rows]
    assert part.lengths.tolist() == [lengths[row] for row in rows]
    assert part.truncated.tolist() == [lengths[row] % 2 == 1 for row in rows]
    assert (part.ids.dtype, part.offsets.dtype) == (np.int32, np.int64)
    assert (part.type_ids is not None) == type_ids
    assert part.type_ids is None or (part.type_ids.dtype == np.int32 and (part.type_ids == -part.ids).all())


def test_pairs_have_type_ids(pair_bundle: ModelBundle) -> None:
    window = BundleTokenizer(pair_bundle).tokenise(["w1 w2", "w3"], ["w4", "w5 w6"])
    assert rows_of(window) == [[CLS, *ids("w1 w2"), SEP, *ids("w4"), SEP], [CLS, *ids("w3"), SEP, *ids("w5 w6"), SEP]]
    assert window.type_ids is not None
    assert window.type_ids.tolist() == [0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1]
    assert window.type_ids.dtype == np.int32


def test_pairs_without_type_ids_where_the_model_has_no_such_input(tiny_bundle: ModelBundle) -> None:
    window = BundleTokenizer(tiny_bundle).tokenise(["w1"], ["w2"])
    assert rows_of(window) == [[CLS, *ids("w1"), SEP, *ids("w2"), SEP]]
    assert window.type_ids is None


def test_single_texts_need_no_type_ids(pair_bundle: ModelBundle) -> None:
    assert BundleTokenizer(pair_bundle).tokenise(["w1 w2"]).type_ids is None


def test_a_single_texts_type_ids_that_are_not_zero_are_kept(pair_bundle: ModelBundle, tmp_path: Path) -> None:
    # XLNet numbers its last token's segment 2.
    content = json.loads(pair_bundle.tokenizer_file.read_text())
    content["post_processor"]["single"][-1]["SpecialToken"]["type_id"] = 2
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    window = BundleTokenizer(replace(pair_bundle, path=tmp_path)).tokenise(["w1 w2"])
    assert window.type_ids is not None
    assert window.type_ids.tolist() == [0, 0, 0, 2]


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [(4, 3, (4, 3)), (5, 3, (4, 3)), (30, 2, (5, 2)), (2, 30, (2, 5)), (30, 30, (3, 4))],
)
def test_pairs_are_cut_at_the_longer_half(
    pair_bundle: ModelBundle, first: int, second: int, kept: tuple[int, int]
) -> None:
    a, b = [f"w{i}" for i in range(first)], [f"w{i}" for i in range(30, 30 + second)]
    window = BundleTokenizer(pair_bundle, 10).tokenise([" ".join(a)], [" ".join(b)])
    assert rows_of(window) == [[CLS, *ids(" ".join(a))[: kept[0]], SEP, *ids(" ".join(b))[: kept[1]], SEP]]
    assert window.truncated.tolist() == [first + second > 7]


def test_texts_and_pairs_of_different_length_are_refused(pair_bundle: ModelBundle) -> None:
    with pytest.raises(ValueError, match="zip"):
        BundleTokenizer(pair_bundle).tokenise(["w1", "w2"], ["w3"])


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def test_ten_megabytes_are_quick_and_give_the_same_tokens(tiny_bundle: ModelBundle) -> None:
    words = [f"w{i % 59}" for i in range(3_000_000)]
    text = " ".join(words)
    assert len(text) > 10_000_000
    tokenizer = BundleTokenizer(tiny_bundle)
    assert seconds(lambda: tokenizer.tokenise([text])) < 1.0  # uncut, it takes ten times as long
    window = tokenizer.tokenise(["w1", text, "w2"])
    assert rows_of(window)[1] == [CLS, *ids(" ".join(words[: MAX_TOKENS - 2])), SEP]
    assert rows_of(window)[::2] == [[CLS, VOCABULARY["w1"], SEP], [CLS, VOCABULARY["w2"], SEP]]
    assert window.truncated.tolist() == [False, True, False]


@pytest.mark.parametrize("blank", [" ", "\n", "\t", "\r\n", "\u2003", " \x0b"])
def test_megabytes_of_blanks_hide_no_word(tiny_bundle: ModelBundle, blank: str) -> None:
    gap = blank * 500_000
    window = BundleTokenizer(tiny_bundle).tokenise([f"w1{gap}w2{gap}w3", gap])
    assert rows_of(window) == [[CLS, *ids("w1 w2 w3"), SEP], [CLS, SEP]]
    assert window.truncated.tolist() == [False, False]


def test_megabytes_of_control_characters_hide_no_word(pieces_bundle: ModelBundle) -> None:
    noise = "\x01" * 1_000_000
    window = BundleTokenizer(pieces_bundle).tokenise([f"a {noise}b {noise} playing"])
    assert rows_of(window) == [[10, 11, 5]]
    assert window.truncated.tolist() == [False]


def test_a_megabyte_without_a_blank(tiny_bundle: ModelBundle) -> None:
    window = BundleTokenizer(tiny_bundle).tokenise(["x" * 1_000_000, "w1 " + "x" * 1_000_000 + " w2"])
    assert rows_of(window) == [[CLS, UNK, SEP], [CLS, VOCABULARY["w1"], UNK, VOCABULARY["w2"], SEP]]
    assert window.truncated.tolist() == [False, False]


@pytest.mark.parametrize("blank", ["\x0c", "\x0b", "\x1c", "\x85", "\u200b"])
def test_a_long_text_is_not_cut_where_the_tokenizer_sees_no_blank(pieces_bundle: ModelBundle, blank: str) -> None:
    # BERT drops these characters: the word is `playing`, and a cut at the character would make it `play ##i`.
    text = "a " * 7 + "\x01" * 600 + f"playi{blank}ng " + "b " * 2000
    window = BundleTokenizer(pieces_bundle, 8).tokenise([text])
    assert rows_of(window) == [[10] * 7 + [5]]
    assert window.truncated.tolist() == [True]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", "playing", " ", "  ", "\n", "\x01" * 40, " " * 300, "\x0c"]), max_size=60),
    st.integers(1, 200),
)
def test_cutting_a_long_text_changes_no_token(pieces_bundle: ModelBundle, parts: list[str], times: int) -> None:
    tokenizer = BundleTokenizer(pieces_bundle, 6)
    text = "".join(parts) * times
    window = tokenizer.tokenise([text])
    (whole,) = tokenizer._tokenizer.encode_batch_fast([text])
    assert rows_of(window) == [whole.ids]
    assert window.truncated.tolist() == [bool(whole.overflowing)]


@settings(max_examples=60, deadline=None)
@given(*[st.tuples(st.integers(0, 20), st.integers(0, 3000), st.integers(0, 150))] * 2)
def test_cutting_a_long_pair_changes_no_token(
    pair_bundle: ModelBundle, first: tuple[int, int, int], second: tuple[int, int, int]
) -> None:
    tokenizer = BundleTokenizer(pair_bundle, 10)
    text, pair = ("x " * few + " " * gap + f"{w} " * many for w, (few, gap, many) in (("w1", first), ("w2", second)))
    window = tokenizer.tokenise([text], [pair])
    (whole,) = tokenizer._tokenizer.encode_batch_fast([(text, pair)])
    assert window.truncated.tolist() == [bool(whole.overflowing)]
    first_ids, second_ids = ids(text), ids(pair)
    if min(len(first_ids), len(second_ids)) > 10:  # both are longer than the limit: either may have the odd token
        assert rows_of(window)[0] in ([CLS, *first_ids[:n], SEP, *second_ids[: 7 - n], SEP] for n in (3, 4))
    else:
        assert rows_of(window) == [whole.ids]


def test_a_long_pair_whose_first_words_are_few(pair_bundle: ModelBundle) -> None:
    # Cut after its gap, the first text would look like the shorter half and lose a token to the second.
    text, pair = "w1 w1" + " " * 3000 + "w1 " * 100, "w2 " * 30
    window = BundleTokenizer(pair_bundle, 8).tokenise([text], [pair])
    assert rows_of(window) == [[CLS, *ids("w1 w1 w1"), SEP, *ids("w2 w2"), SEP]]


def test_a_long_pair_is_quick(pair_bundle: ModelBundle) -> None:
    text = "w1 w2 " * 1_700_000
    tokenizer = BundleTokenizer(pair_bundle)
    assert seconds(lambda: tokenizer.tokenise([text, "w3"], ["w3", text])) < 1.0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": "1.0"}', b"\xff\xfe", b'{"model": {"type": "?"}}'])
def test_an_unreadable_file(tiny_bundle: ModelBundle, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"tokenizer\.json can't be read as a tokenizer \(.+\)"):
        BundleTokenizer(replace(tiny_bundle, path=tmp_path))


def test_a_missing_file(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"tokenizer\.json can't be read as a tokenizer"):
        BundleTokenizer(replace(tiny_bundle, path=tmp_path))


@pytest.mark.parametrize("limit", [-1, 0, 3, MAX_TOKENS + 1, 10**9])
def test_max_tokens_out_of_range(tiny_bundle: ModelBundle, limit: int) -> None:
    with pytest.raises(BundleError, match=facts("`max_tokens`", limit, 4, MAX_TOKENS)):
        BundleTokenizer(tiny_bundle, limit)


@pytest.mark.parametrize("limit", [4, MAX_TOKENS])
def test_max_tokens_at_the_ends_of_its_range(tiny_bundle: ModelBundle, limit: int) -> None:
    tokenizer = BundleTokenizer(tiny_bundle, limit)
    assert tokenizer.max_tokens == limit
    assert tokenizer.tokenise(["w1 " * 100]).lengths.tolist() == [limit]


def test_a_real_tokenizer_agrees_with_transformers(shared: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = shared / "models" / "minilm-agnews"
    shutil.copy(model / "tokenizer.json", tmp_path)
    bundle = replace(make_bundle(tmp_path / "tiny"), path=tmp_path, max_tokens=512, input_names=INPUTS)
    texts = ["Hello, world!", "", "naïve café 中文 😀 \u200b x", "don't " * 600, "A\x00B\ufffdC", "x" * 300]
    window = BundleTokenizer(bundle).tokenise(texts)
    expected = transformers.AutoTokenizer.from_pretrained(model)(texts, truncation=True, max_length=512)["input_ids"]
    assert rows_of(window) == expected
    assert window.truncated.tolist() == [False, False, False, True, False, False]
