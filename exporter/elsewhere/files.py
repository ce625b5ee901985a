"""what_to_do(): advice for a model in one file, which is not exported as a folder of transformers is."""

from pathlib import Path

_PICKLED = (".joblib", ".pickle", ".pkl", ".skops")


def what_to_do(file: Path) -> str:
    """Return the message about a file that was given in the place of a model's folder."""
    kind = file.suffix.lower()
    if kind in _PICKLED:
        return (
            f"{file} is a file of a scikit-learn or other Python model, which is never loaded, because loading can run "
            "code; in Python: numpy.save('probs.npy', model.predict_proba(texts)), with the texts of your data in "
            "order; then `lossrank import-probs DATA probs.npy -o run --classes NAME,NAME,...`, with the names in the "
            "order of model.classes_"
        )
    if kind == ".onnx":
        return (
            f"{file} is an ONNX file; run `lossrank export --onnx {file} --tokenizer FOLDER --labels FILE -o BUNDLE` "
            "(in Python: `onnx`, `tokenizer` and `labels`)"
        )
    return f"{file} is a file; give the folder it is in (config.json, *.safetensors, tokenizer files)"
