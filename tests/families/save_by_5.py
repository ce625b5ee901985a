"""Write the checkpoints of saved_by_5/ anew: `python -m tests.families.save_by_5`, with transformers 5.

They are classifiers of the families with rotary positions, of other frequencies than the default, and torch's logits
for two texts. transformers 4 reads neither their frequencies (rope_parameters) nor their tokenizers.
"""

import json
from pathlib import Path

from tests.families.build import build
from tests.families.forms import BY_NAME, SAVED_BY_5
from tests.families.kind import Kind

FOLDER = Path(__file__).parent / "saved_by_5"
TEXTS = (
    "Oil rose to $49.40 a barrel!",
    "The striker who had scored twice before the break was sent off in the final minute",
)
_SMALL = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}


def main() -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    for name in SAVED_BY_5:
        kind = BY_NAME[name]
        rope = {"rope_type": "default", "rope_theta": 50.0}
        if name in ("gpt_neox", "phi"):
            rope["partial_rotary_factor"] = 0.5
        both = {"full_attention": rope, "sliding_attention": {**rope, "rope_theta": 7.0}}
        small = {**_SMALL, "rope_parameters": both if name == "modernbert" else rope}
        folder = build(Kind(name, kind.prefix, {**kind.settings, **small}), FOLDER / name)
        words = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
        with torch.inference_mode():
            logits = [model(**words(text, return_tensors="pt")).logits[0].tolist() for text in TEXTS]
        (folder / "logits.json").write_text(json.dumps(logits) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
