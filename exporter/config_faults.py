"""Check a model's config.json, before its weights are loaded, for everything that would make its losses wrong.

A fault is never repaired by a guess: a wrong class order or a randomly initialised head gives losses that look normal.
"""

import json
from collections import Counter
from typing import Any

from exporter.errors import ModelError
from exporter.fetch import ModelFiles
from scorer.text import fold

_CLASSIFIER = "ForSequenceClassification"
# Endings of transformers' class names. The first match counts, so the longer endings come first.
_KINDS = {
    "ForTokenClassification": "a token classifier: it labels words, not texts",
    "ForQuestionAnswering": "an extractive question answerer",
    "ForMaskedLM": "a masked language model without a classification head",
    "ForPreTraining": "a pre-trained model without a classification head",
    "ForCausalLM": "a text generator",
    "LMHeadModel": "a text generator",
    "ForConditionalGeneration": "a sequence-to-sequence generator",
    "ForMultipleChoice": "a multiple-choice model",
    "ForNextSentencePrediction": "a next-sentence predictor",
    "ForImageClassification": "an image classifier",
    "ForAudioClassification": "an audio classifier",
    "Model": "a bare encoder without a classification head",
}


def read_config(files: ModelFiles) -> dict[str, Any]:
    """Return ``config.json`` as plain JSON, because transformers' reader fills gaps and drops contradictions.

    Raises:
        ModelError: the file is missing.
        ModelError: the file is not a JSON object.
    """
    file = files.folder / "config.json"
    if not file.is_file():
        adapter = (files.folder / "adapter_config.json").is_file()
        hint = "it is a PEFT adapter; merge it into its base model first" if adapter else "give a Hugging Face model"
        raise ModelError(f"{files.name} can't be exported: no config.json in {files.folder}; {hint}")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{files.name} can't be exported: {file} is not JSON ({error})") from error
    if not isinstance(config, dict):
        raise ModelError(f"{files.name} can't be exported: {file} is not a JSON object")
    return config


def reasons(config: dict[str, Any], files: ModelFiles) -> list[str]:
    """Return every reason not to export the model; the list is empty if there is none."""
    found = _about_architecture(config) + _about_problem(config) + _about_classes(config)
    if "quantization_config" in config:
        method = (config["quantization_config"] or {}).get("quant_method", "an unnamed method")
        found.append(f"its weights are quantised ({method}); export the model they were made from")
    if (files.folder / "adapter_config.json").is_file():
        found.append("its folder has a PEFT adapter beside the model; merge the adapter into the model first")
    return found


def about_labels(config: dict[str, Any]) -> list[str]:
    """Return the reasons why ``class_names`` is not certain for a config.json, or is no classifier's."""
    return _about_problem(config) + _about_classes(config)


def class_names(config: dict[str, Any]) -> tuple[str, ...]:
    """Return the class names in the order of the logits; call this only if ``reasons`` is empty for ``config``."""
    names = config.get("id2label")
    if names is None:  # transformers' own default
        return tuple(f"LABEL_{i}" for i in range(config.get("num_labels", 2)))
    by_index = {int(index): str(name) for index, name in names.items()}
    return tuple(by_index[i] for i in range(len(by_index)))


def _about_architecture(config: dict[str, Any]) -> list[str]:
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    model_type = config.get("model_type")
    architectures = [str(name) for name in config.get("architectures") or []]
    found = [
        f"it is {_kind(name)} ({name}), not a text classifier (...{_CLASSIFIER})"
        for name in architectures
        if not name.endswith(_CLASSIFIER)
    ]
    own = (config.get("auto_map") or {}).get(f"AutoModel{_CLASSIFIER}")
    if own:
        found.append(f"its classifier is code of its own ({own}), which is never run")
    unknown = [name for name in architectures if name.endswith(_CLASSIFIER) and not hasattr(transformers, name)]
    if model_type not in CONFIG_MAPPING_NAMES or unknown:
        what = f"architecture {unknown[0]}" if unknown else f"model_type {model_type!r}"
        where = "it needs custom code, which is never run" if "auto_map" in config else "a misspelling?"
        found.append(f"transformers {transformers.__version__} has no {what} ({where})")
    return found


def _kind(architecture: str) -> str:
    return next((kind for ending, kind in _KINDS.items() if architecture.endswith(ending)), "something else")


def _about_problem(config: dict[str, Any]) -> list[str]:
    problem = config.get("problem_type")
    if problem == "multi_label_classification":
        return ["it is a multi-label classifier: its classes don't exclude each other, so a softmax over them is wrong"]
    names = config.get("id2label")
    outputs = len(names) if isinstance(names, dict) else config.get("num_labels", 2)
    if problem == "regression" or outputs == 1:
        return ["it is a regression model: it predicts one number per text, not classes"]
    if problem not in (None, "single_label_classification"):
        return [f"its problem_type is {problem!r}, not 'single_label_classification'"]
    return []


def _about_classes(config: dict[str, Any]) -> list[str]:
    names = config.get("id2label")
    if names is None:
        count = config.get("num_labels", 2)
        return [] if isinstance(count, int) and count > 0 else [f"num_labels in config.json is {count!r}"]
    if not isinstance(names, dict) or not names or not all(str(index).isdecimal() for index in names):
        return ["id2label in config.json does not map class indices to names"]
    found = []
    by_index = {int(index): str(name) for index, name in names.items()}
    missing = sorted(set(range(max(by_index) + 1)) - set(by_index))
    if missing:
        found.append(f"id2label in config.json has no name for class {listed(missing)}")
    blank = [index for index, name in by_index.items() if not fold(name)]
    if blank:
        found.append(f"id2label in config.json has an empty name for class {listed(blank)}")
    folded = Counter(fold(name) for name in by_index.values())
    twice = [name for name in by_index.values() if fold(name) and folded[fold(name)] > 1]
    if twice:
        found.append(f"id2label in config.json names different classes alike: {listed(repr(name) for name in twice)}")
    for key in ("num_labels", "_num_labels"):
        if config.get(key) not in (None, len(by_index)):
            found.append(f"id2label in config.json has {len(by_index)} classes but {key} is {config[key]}")
    return found + _about_contradiction(config, by_index)


def _about_contradiction(config: dict[str, Any], by_index: dict[int, str]) -> list[str]:
    """Return a fault if classes have different indices in id2label and label2id; names in only one are ignored."""
    indices = config.get("label2id")
    if not isinstance(indices, dict):
        return []
    wrong = [name for index, name in by_index.items() if str(indices.get(name, index)) != str(index)]
    if not wrong or len(set(by_index.values())) < len(by_index):
        return []
    return [f"id2label and label2id in config.json give different indices to {listed(repr(name) for name in wrong)}"]


def listed(values: Any, most: int = 10) -> str:
    """Return values separated by commas, at most ``most`` of them; the others are counted."""
    shown = [str(value) for value in values]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")
