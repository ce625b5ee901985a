"""Train the small AG News classifier that lossrank ships as its demo: a BERT of 3 layers, 128 wide.

It is distilled from a larger BERT classifier (the teacher, a MiniLM-L6 fine-tuned on the same rows), on the train
sample and on texts cut from it. It is measured on the test split, which training never sees.

The data is AG's corpus of news articles, gathered by ComeToMyHead. Xiang Zhang, Junbo Zhao and Yann LeCun made the
classification data set (Character-level Convolutional Networks for Text Classification, NIPS 2015). It is provided by
the academic community for research purposes and other non-commercial activity; this also holds for the rows and the
model that ship with lossrank.

    python benchmarks/demo/train_demo.py --data ../shared/data --teacher ../shared/models/minilm-agnews \\
        --out demo --bf16

The folder of --data holds ag_news_train_sample.parquet and ag_news_test.parquet (columns text, label). The result is a
Hugging Face folder that AutoModelForSequenceClassification and AutoTokenizer load.
"""

# transformers annotates only part of its code.
# mypy: allow-untyped-calls

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

CLASS_NAMES = ["World", "Sports", "Business", "Sci/Tech"]
SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PAD, UNK = 0, 1  # student ids: SPECIAL_TOKENS come first in its vocabulary

VOCAB_SIZE, MAX_TOKENS = 9_000, 256
HIDDEN_SIZE, NUM_LAYERS, NUM_HEADS = 128, 3, 4
EPOCHS, BATCH_ROWS, LEARNING_RATE = 4, 32, 1e-3
LABEL_WEIGHT = 0.3  # weight of the cross-entropy with the data set's label; the teacher has the rest
FEATURE_WEIGHT, TEMPERATURE = 0.3, 2.0
UNK_RATE, EMBEDDING_STD = 0.05, 0.05

FLIP_RATE, FLIP_SEEDS = 0.05, range(5)

Ids = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Targets:
    """The targets of the student: each text's label (-1 if the text is synthetic) and the teacher's outputs."""

    labels: Tensor  # [n]
    logits: Tensor  # [n, C]
    features: Tensor  # [n, 2 * teacher hidden], standardised


def read_split(path: Path) -> tuple[list[str], NDArray[np.int64]]:
    """Return the texts and labels [n] of one Parquet file."""
    table = pq.read_table(path, columns=["text", "label"])
    return table["text"].to_pylist(), np.asarray(table["label"].to_numpy(), dtype=np.int64)


def load_tokenizer(folder: Path) -> Tokenizer:
    """Return the teacher's tokenizer, without the truncation and padding that published files contain."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def encode(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [encoding.ids for encoding in tokenizer.encode_batch(texts)]


def shrink_vocabulary(tokenizer: Tokenizer, teacher_ids: Ids) -> tuple[Tokenizer, list[int]]:
    """Return a tokenizer with the most frequent pieces of ``teacher_ids``, and the teacher's id of each kept piece."""
    counts = Counter(piece for row in teacher_ids for piece in row)
    special = [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS]
    frequent = [piece for piece, _ in counts.most_common() if piece not in special]
    kept = special + sorted(frequent[: VOCAB_SIZE - len(special)])
    state = json.loads(tokenizer.to_str())
    vocabulary = {tokenizer.id_to_token(piece): new for new, piece in enumerate(kept)}
    state["model"]["vocab"] = vocabulary
    for token in state["added_tokens"]:
        token["id"] = vocabulary[token["content"]]
    for name, token in state["post_processor"]["special_tokens"].items():
        token["ids"] = [vocabulary[name]]
    return Tokenizer.from_str(json.dumps(state)), kept


def augment(texts: list[str], rng: np.random.Generator) -> list[str]:
    """Return a crop of every text, and then for every text a splice of its words with words of another text.

    The teacher was fine-tuned on the original texts and is too certain of their labels. It is less certain of the new
    texts, so its logits there show better how similar the classes are.
    """
    words = [text.split() for text in texts]

    def span(row: int, low: float, high: float) -> list[str]:
        length = max(4, int(len(words[row]) * rng.uniform(low, high)))
        start = int(rng.integers(0, max(1, len(words[row]) - length + 1)))
        return words[row][start : start + length]

    crops = [" ".join(span(row, 0.25, 0.75)) for row in range(len(words))]
    others = rng.integers(0, len(words), len(words))
    splices = [" ".join(span(row, 0.25, 0.65) + span(int(others[row]), 0.25, 0.65)) for row in range(len(words))]
    return crops + splices


def pad(ids: Ids, rows: Sequence[int] | NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Return input_ids and attention_mask [b, t] of the given rows; [PAD] has id 0 in both tokenizers."""
    batch = [torch.tensor(ids[row]) for row in rows]
    input_ids = torch.nn.utils.rnn.pad_sequence(batch, batch_first=True, padding_value=PAD)
    return input_ids, (input_ids != PAD).long()


def sorted_batches(ids: Ids, batch_rows: int = 64) -> Iterator[NDArray[np.int64]]:
    """Yield batches that contain every row once, with rows of similar length together."""
    order = np.argsort([len(row) for row in ids], kind="stable")
    for start in range(0, len(order), batch_rows):
        yield order[start : start + batch_rows]


def shuffled_batches(ids: Ids, rng: np.random.Generator) -> list[list[int]]:
    """Return random batches that contain every row once; rows are sorted by length within random windows."""
    rows = rng.permutation(len(ids))
    batches: list[list[int]] = []
    for start in range(0, len(rows), BATCH_ROWS * 50):
        window = sorted(rows[start : start + BATCH_ROWS * 50].tolist(), key=lambda row: len(ids[row]))
        batches += [window[i : i + BATCH_ROWS] for i in range(0, len(window), BATCH_ROWS)]
    return [batches[i] for i in rng.permutation(len(batches))]


def teach(teacher: BertForSequenceClassification, ids: Ids, labels: NDArray[np.int64], bf16: bool) -> Targets:
    """Return the teacher's outputs for every text; the features are its last hidden state at token 0 and on average."""
    width = teacher.config.hidden_size
    logits = torch.zeros(len(ids), len(CLASS_NAMES))
    features = torch.zeros(len(ids), 2 * width)
    teacher.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        for rows in sorted_batches(ids):
            input_ids, mask = pad(ids, rows)
            output = teacher.bert(input_ids=input_ids, attention_mask=mask)
            hidden = output.last_hidden_state.float()
            logits[rows] = teacher.classifier(output.pooler_output).float()
            features[rows, :width] = hidden[:, 0]
            features[rows, width:] = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
    padded = np.pad(labels, (0, len(ids) - len(labels)), constant_values=-1)
    features = (features - features.mean(0)) / features.std(0)
    return Targets(torch.from_numpy(padded), logits, features)


def build_student(teacher: BertForSequenceClassification, kept: list[int]) -> BertForSequenceClassification:
    """Return a random BERT whose word embeddings are the teacher's, projected on their first principal components."""
    config = BertConfig(
        vocab_size=len(kept),
        hidden_size=HIDDEN_SIZE,
        num_hidden_layers=NUM_LAYERS,
        num_attention_heads=NUM_HEADS,
        intermediate_size=4 * HIDDEN_SIZE,
        max_position_embeddings=MAX_TOKENS,
        id2label=dict(enumerate(CLASS_NAMES)),
        label2id={name: index for index, name in enumerate(CLASS_NAMES)},
    )
    student = BertForSequenceClassification(config)
    embeddings = teacher.bert.embeddings.word_embeddings.weight.detach()[kept]
    centred = embeddings - embeddings.mean(0)
    projected = centred @ torch.linalg.svd(centred, full_matrices=False).Vh[:HIDDEN_SIZE].T
    student.bert.embeddings.word_embeddings.weight.data.copy_(projected * (EMBEDDING_STD / projected.std()))
    return student


def distillation_loss(logits: Tensor, targets: Targets, rows: list[int]) -> Tensor:
    """Return the mean KL divergence to the teacher (Hinton et al. 2015), mixed with cross-entropy for labelled rows."""
    log_probs = (logits / TEMPERATURE).log_softmax(1)
    teacher_probs = (targets.logits[rows] / TEMPERATURE).softmax(1)
    divergence = functional.kl_div(log_probs, teacher_probs, reduction="none").sum(1) * TEMPERATURE**2
    labels = targets.labels[rows]
    cross_entropy = functional.cross_entropy(logits, labels.clamp(min=0), reduction="none")
    mixed = LABEL_WEIGHT * cross_entropy + (1 - LABEL_WEIGHT) * divergence
    return torch.where(labels >= 0, mixed, divergence).mean()


def train_epochs(
    student: BertForSequenceClassification, ids: Ids, targets: Targets, rng: np.random.Generator, bf16: bool
) -> Iterator[tuple[int, float, float]]:
    """Train, and yield (epoch, mean loss, seconds) after each epoch."""
    # The teacher's hidden states say more than its four logits. The layer that predicts them is discarded at the end.
    feature_head = torch.nn.Linear(HIDDEN_SIZE, targets.features.shape[1])
    parameters = [*student.parameters(), *feature_head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=0.01, fused=True)
    steps = -(-len(ids) // BATCH_ROWS)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, epochs=EPOCHS, steps_per_epoch=steps)
    for epoch in range(1, EPOCHS + 1):
        started, total = time.perf_counter(), 0.0
        student.train()
        for rows in shuffled_batches(ids, rng):
            input_ids, mask = pad(ids, rows)
            dropped = (torch.rand(input_ids.shape) < UNK_RATE) & (input_ids >= len(SPECIAL_TOKENS))
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                output = student.bert(input_ids=input_ids.masked_fill(dropped, UNK), attention_mask=mask)
            logits = student.classifier(student.dropout(output.pooler_output.float()))
            features = feature_head(output.last_hidden_state[:, 0].float())
            loss = distillation_loss(logits, targets, rows)
            loss = loss + FEATURE_WEIGHT * functional.mse_loss(features, targets.features[rows])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
        yield epoch, total / steps, time.perf_counter() - started


def predict(model: BertForSequenceClassification, ids: Ids) -> NDArray[np.float64]:
    """Return log-probabilities [n, C] in nats, as float64."""
    log_probs = np.zeros((len(ids), len(CLASS_NAMES)))
    model.eval()
    with torch.inference_mode():
        for rows in sorted_batches(ids):
            input_ids, mask = pad(ids, rows)
            logits = model(input_ids=input_ids, attention_mask=mask).logits
            log_probs[rows] = logits.double().log_softmax(1).numpy()
    return log_probs


def flip_recall(log_probs: NDArray[np.float64], labels: NDArray[np.int64], seed: int) -> float:
    """Return the share of randomly flipped labels among the rows of highest cross-entropy; higher is better."""
    rng = np.random.default_rng(seed)
    count = round(FLIP_RATE * len(labels))
    flipped = rng.choice(len(labels), count, replace=False)
    given = labels.copy()
    given[flipped] = (given[flipped] + rng.integers(1, len(CLASS_NAMES), count)) % len(CLASS_NAMES)
    loss = -log_probs[np.arange(len(given)), given]
    return float(np.isin(np.argsort(-loss, kind="stable")[:count], flipped).mean())


def report(title: str, log_probs: NDArray[np.float64], labels: NDArray[np.int64]) -> None:
    accuracy = (log_probs.argmax(1) == labels).mean()
    loss = -log_probs[np.arange(len(labels)), labels].mean()
    recalls = [flip_recall(log_probs, labels, seed) for seed in FLIP_SEEDS]
    by_seed = " ".join(f"{recall:.1%}" for recall in recalls)
    figures = f"accuracy {accuracy:.2%}, mean loss {loss:.3f}, flip recall {np.mean(recalls):.1%} ({by_seed})"
    print(f"{title}: {len(labels)} rows, {figures}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the small AG News classifier that lossrank ships as its demo.")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with the two AG News files")
    parser.add_argument("--teacher", type=Path, required=True, metavar="DIR", help="folder of the BERT to distil")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write the model to")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch (default: %(default)s)")
    parser.add_argument(
        "--holdout", type=int, default=0, help="train rows to hold out for measuring each epoch (default: 0)"
    )
    parser.add_argument(
        "--bf16", action="store_true", help="train in bfloat16, which is faster on CPUs that support it"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    torch.use_deterministic_algorithms(True)
    rng = np.random.default_rng(arguments.seed)

    texts, labels = read_split(arguments.data / "ag_news_train_sample.parquet")
    order = rng.permutation(len(texts))
    held, fit = order[: arguments.holdout], order[arguments.holdout :]
    fit_texts = [texts[row] for row in fit]
    teacher = BertForSequenceClassification.from_pretrained(arguments.teacher, dtype=torch.float32)
    teacher_tokenizer = load_tokenizer(arguments.teacher)
    tokenizer, kept = shrink_vocabulary(teacher_tokenizer, encode(teacher_tokenizer, fit_texts))

    started = time.perf_counter()
    all_texts = fit_texts + augment(fit_texts, rng)
    targets = teach(teacher, encode(teacher_tokenizer, all_texts), labels[fit], arguments.bf16)
    print(f"teacher: {len(all_texts)} texts in {time.perf_counter() - started:.0f} s", flush=True)

    held_ids = encode(tokenizer, [texts[row] for row in held])
    student = build_student(teacher, kept)
    for epoch, loss, seconds in train_epochs(student, encode(tokenizer, all_texts), targets, rng, arguments.bf16):
        print(f"epoch {epoch}/{EPOCHS}: loss {loss:.3f}, {seconds:.0f} s", flush=True)
        if held_ids:
            report("  held out", predict(student, held_ids), labels[held])

    test_texts, test_labels = read_split(arguments.data / "ag_news_test.parquet")
    test_log_probs = predict(student, encode(tokenizer, test_texts))
    report("test", test_log_probs, test_labels)
    report("test, first rows", test_log_probs[:2000], test_labels[:2000])

    tokenizer.no_truncation()  # the program that loads the file sets the truncation
    BertTokenizerFast(tokenizer_object=tokenizer, model_max_length=MAX_TOKENS).save_pretrained(arguments.out)
    student.save_pretrained(arguments.out)
    size = (arguments.out / "model.safetensors").stat().st_size
    print(f"{arguments.out}: {student.num_parameters():,} parameters, model.safetensors {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
