"""The candidates, one file each: what a user of that library would write, from texts to losses.

A candidate's module holds ``INFO`` and ``load(job)``, which returns a scorer: a callable from texts and labels to
losses. It runs in a process of its own (`benchmarks/worker.py`), which may have an environment of its own.
"""

# In the order of the tables.
NAMES = (
    "tutorial",
    "hf_pipeline",
    "optimum_pipeline",
    "ort_plain",
    "infinity",
    "ctranslate2_fp32",
    "openvino_fp32",
    "openvino_int8",
    "lossrank_fp32",
    "lossrank_int8",
    "lossrank_screen",
)
