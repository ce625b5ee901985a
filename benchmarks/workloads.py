"""The workloads: a model, its rows, the candidates, and their share of the time."""

from dataclasses import dataclass

from benchmarks.candidates import NAMES

_WITHOUT_SLOW = tuple(name for name in NAMES if name not in ("hf_pipeline", "infinity"))
_FEW = tuple(name for name in _WITHOUT_SLOW if name not in ("optimum_pipeline", "ort_plain"))


@dataclass(frozen=True)
class Workload:
    """A model and rows; ``share`` is the workload's share of the time, ``first`` the rows of a warm-up."""

    name: str
    title: str
    model: str
    rows: str
    share: float
    first: int
    candidates: tuple[str, ...] = NAMES


WORKLOADS = (
    Workload("minilm", "MiniLM-L6 size, news", "minilm", "news", 4.2, 32),
    Workload("minilm-tail", "MiniLM-L6 size, long-tailed texts", "minilm", "tail", 3.6, 32, _FEW),
    Workload("distilbert", "DistilBERT-base size, news", "distilbert", "news", 4.6, 32, _WITHOUT_SLOW),
    Workload("bert", "BERT-base size, news", "bert", "news", 7.0, 32, _FEW),
    Workload("demo", "the demo's model, news", "demo", "news", 1.5, 512),
)
QUICK = (
    Workload(
        "demo",
        "the demo's model, news",
        "demo",
        "news",
        1.0,
        256,
        ("tutorial", "hf_pipeline", "ort_plain", "lossrank_fp32"),
    ),
)
