"""shorten: what the model reads of a text of megabytes is the same after a cut, and takes little memory."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.decoders import Metaspace as MetaspaceDecoder
from tokenizers.models import BPE, Unigram, WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer, ByteLevel, Metaspace
from tokenizers.trainers import BpeTrainer, UnigramTrainer, WordPieceTrainer

from scorer.model import pretruncate as shorten
from scorer.model.pretruncate import Shortener, chunks
from tests.support import ROOT, SOAK, short_and_long

CORPUS = [
    "The central bank raised its rate by a quarter point on Tuesday while shares in Tokyo fell.",
    "Researchers at the university say a new chip needs half the power of its rivals: 世界银行; 東京 == ---- ....",
    "https://example.com/a?b=c&d=e <p class='lead'>Wall St. &amp; the market</p> 1234567890 playing plays",
]
PIECES = 8
BUNDLE = ROOT / "cli" / "demo_files" / "bundle"


def wordpiece() -> Tokenizer:
    tokenizer = Tokenizer(WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.train_from_iterator(
        CORPUS, WordPieceTrainer(vocab_size=200, special_tokens=["[UNK]"], show_progress=False)
    )
    return tokenizer


def byte_bpe() -> Tokenizer:
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(
        [*CORPUS, "aaaaaaaa" * 9],
        BpeTrainer(vocab_size=400, initial_alphabet=ByteLevel.alphabet(), show_progress=False),
    )
    return tokenizer


def unigram() -> Tokenizer:
    tokenizer = Tokenizer(Unigram())
    tokenizer.pre_tokenizer = Metaspace()
    tokenizer.decoder = MetaspaceDecoder()
    tokenizer.train_from_iterator(
        CORPUS * 3,
        UnigramTrainer(vocab_size=150, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False),
    )
    return tokenizer


TOKENIZERS = {"wordpiece": wordpiece(), "byte-level BPE": byte_bpe(), "unigram": unigram()}
MODES = pytest.mark.parametrize("mode", ["head", "tail", "mean"])
# Letters that are known and not, what BERT splits at, drops or puts together, and blanks of every kind.
ATOMS = [
    "x", "a", "the", "market", "play", "ing", " ", "  ", "\n", "\t", "世", "東京", "Ω", "👍", "\x01", "=", ".",
    "e\u0301", "\u200d", "12", "https://",
]  # fmt: skip
WORDS = st.lists(st.sampled_from(ATOMS), min_size=1, max_size=4)


def truncating(tokenizer: Tokenizer, limit: int, mode: str) -> Tokenizer:
    """Set a tokenizer as BundleTokenizer does."""
    direction = "left" if mode == "tail" else "right"
    tokenizer.enable_truncation(limit, stride=limit // 4 if mode == "mean" else 0, direction=direction)
    return tokenizer


def shortened(tokenizer: Tokenizer, limit: int, mode: str, text: str) -> str:
    pieces = PIECES if mode == "mean" else 1
    (short,) = Shortener(truncating(tokenizer, limit, mode), limit, pieces, tail=mode == "tail").shorten([text])
    return short


def read(tokenizer: Tokenizer, mode: str, text: str) -> tuple[list[list[int]], bool]:
    """Return the tokens that the model reads of a text, piece by piece, and whether there are more."""
    pieces = PIECES if mode == "mean" else 1
    (encoding,) = tokenizer.encode_batch_fast([text])
    return [each.ids for each in (encoding, *encoding.overflowing[: pieces - 1])], len(encoding.overflowing) >= pieces


@pytest.fixture(scope="module", autouse=True)
def cut_early() -> Iterator[None]:
    """Let the last resort come after 16,384 characters and 5,040 more, so that the texts compared with can be small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shorten, "_MOST", 1 << 14)
        patch.setattr(shorten, "_PERIODS", 5040)
        patch.setattr(shorten, "_WHOLE", 0)
        yield


@pytest.mark.parametrize("kind", TOKENIZERS)
@MODES
@short_and_long("examples", 6, 150)
def test_what_is_read_is_that_of_the_whole_text(kind: str, mode: str, examples: int) -> None:
    tokenizer = TOKENIZERS[kind]

    @settings(max_examples=examples, deadline=None)
    @given(
        words=st.lists(st.tuples(WORDS, st.sampled_from([1, 3, 200, 4000, 9001])), min_size=1, max_size=5),
        limit=st.sampled_from([4, 9, 32]),
    )
    def check(words: list[tuple[list[str], int]], limit: int) -> None:
        text = "".join("".join(word) * times for word, times in words)
        short = shortened(tokenizer, limit, mode, text)
        assert read(tokenizer, mode, short) == read(tokenizer, mode, text)

    check()


@MODES
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("wordpiece", "x" * 300_000),  # one [UNK]
        ("wordpiece", "the " + "x" * 300_000 + " market"),
        ("wordpiece", "play" + "\x01" * 300_000 + "ing"),
        ("wordpiece", "the" + " " * 300_000 + "market"),
        ("unigram", "Ω" * 300_000),  # unknown characters make one <unk>
    ],
)
def test_a_text_of_few_tokens_keeps_them_all_and_little_else(kind: str, text: str, mode: str) -> None:
    tokenizer = TOKENIZERS[kind]
    short = shortened(tokenizer, 8, mode, text)
    whole = read(tokenizer, mode, text)
    assert len(short) < 20_000
    assert read(tokenizer, mode, short) == whole
    assert not whole[1]


@MODES
@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("unit", ["世東", "dGhlIG1hcmtl/dCBpcyB+1cA", "=", "ab."])
def test_a_text_without_a_blank_is_cut_soon(kind: str, unit: str, mode: str) -> None:
    text = unit * (100_000 // len(unit))
    if (kind, unit) == ("unigram", "世東"):
        text = text.replace("東", "界")  # both are known: many tokens
    short = shortened(TOKENIZERS[kind], 8, mode, text)
    assert len(short) < 40_000
    assert read(TOKENIZERS[kind], mode, short) == read(TOKENIZERS[kind], mode, text)


def test_a_word_of_unknown_length_limit_is_not_shortened_to_a_known_one() -> None:
    # Here 512 letters at either end are a word that is known by its pieces; 3,000 and more are unknown.
    model = WordPiece({"[UNK]": 0, "x": 1, "##x": 2}, unk_token="[UNK]", max_input_chars_per_word=3000)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    text = "x" * 100_000
    short = shortened(tokenizer, 8, "head", text)
    assert read(tokenizer, "head", short) == read(tokenizer, "head", text) == ([[0]], False)


@pytest.mark.parametrize("rest", range(8))
def test_tokens_that_depend_on_the_length_of_a_repeated_text_are_those_of_the_whole(rest: int) -> None:
    """Pieces of one and eight letters: which of them comes first depends on how many letters there are."""
    pieces = [("<unk>", -20.0), ("a", -2.0), ("aaaaaaaa", -3.0)]
    tokenizer = Tokenizer(Unigram(pieces, unk_id=0))
    text = "a" * (400_000 + rest)
    short = shortened(tokenizer, 8, "head", text)
    assert len(short) < 50_000
    assert read(tokenizer, "head", short) == read(tokenizer, "head", text)


def test_texts_that_are_only_long_are_tokenised_whole_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shorten, "_WHOLE", 5000)
    texts = ["世界" * 2500, "世界" * 2501, "世界 " * 2501]
    short = Shortener(TOKENIZERS["wordpiece"], 8, 1, tail=False).shorten(texts)
    assert short[0] is texts[0]
    assert len(short[2]) < 200


def test_a_chunk_has_so_many_texts_and_so_many_characters() -> None:
    assert list(chunks([])) == []
    assert list(chunks([1] * 600)) == [(0, 256), (256, 512), (512, 600)]
    million = 1 << 19
    assert list(chunks([million, million, 1, 5 * million, 1, 1])) == [(0, 2), (2, 3), (3, 4), (4, 6)]


MEASURE = """
import sys
from scorer import ModelBundle
from scorer.pipeline.summary import peak_memory_bytes
from scorer.model.tokenizer import BundleTokenizer
tokenizer = BundleTokenizer(ModelBundle.load({bundle!r}), long_text={mode!r})
tokenizer.tokenise(["a text"])
before = peak_memory_bytes()
for word in {words!r}:
    window = tokenizer.tokenise([word * ({length} // len(word.encode()))])
    print(window.lengths[0], peak_memory_bytes() - before)
"""


@MODES
@SOAK
def test_megabytes_take_little_memory(mode: str) -> None:
    """Uncut, one of these texts takes 267 MB and more; a text of 60 MB took 8 GB."""
    words = ["x", "世界", "dGhlIG1hcmtl+dCBpcyB/"]
    code = MEASURE.format(words=words, length=15 * 10**6, bundle=str(BUNDLE), mode=mode)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lengths, grown = zip(*(map(int, line.split()) for line in done.stdout.splitlines()), strict=True)
    assert lengths == (3, 256, 256)
    assert grown[-1] < 180 * 2**20
