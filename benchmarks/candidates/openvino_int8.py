"""OpenVINO with int8 weights and activations, by nncf's post-training quantisation, as OpenVINO documents it."""

from typing import Any

from benchmarks.batches import load_tokenizer, pad, tokenise
from benchmarks.candidates.openvino_runtime import OpenVinoScorer
from benchmarks.protocol import Info, Job, Scorer

INFO = Info(
    "OpenVINO int8 (nncf), sorted",
    ("openvino", "nncf", "tokenizers", "numpy"),
    sorts=True,
    precision="int8",
    tolerance=None,
)


def load(job: Job) -> Scorer:
    """Quantise the plain graph once, and read the result."""
    import openvino

    file = job.graph.with_name("openvino-int8.xml")
    if not file.exists():
        openvino.save_model(_quantised(job), file.with_name("part.xml"), compress_to_fp16=False)
        file.with_name("part.bin").rename(file.with_suffix(".bin"))
        file.with_name("part.xml").rename(file)
    return OpenVinoScorer(openvino.Core().read_model(file), job, INFERENCE_PRECISION_HINT="f32")


def _quantised(job: Job) -> Any:
    import nncf
    import numpy as np
    import openvino

    model = openvino.Core().read_model(job.graph)
    names = [port.get_any_name() for port in model.inputs]
    ids = tokenise(load_tokenizer(job.folder, job.limit), job.calibration)
    inputs = [pad(ids, np.array([row])) for row in range(len(ids))]
    data = nncf.Dataset([{name: batch[name] for name in names} for batch in inputs])
    return nncf.quantize(model, data, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(ids))
