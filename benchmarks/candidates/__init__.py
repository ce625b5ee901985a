"""The candidates, one file each: the code from texts to losses that a user of the library would write.

A candidate's module has ``INFO`` and ``load(job)``, which returns a scorer: a callable from texts and labels to losses.
It runs in its own process (`benchmarks/worker.py`), which may have its own environment.
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
