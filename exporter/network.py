"""Network: a classifier as a function from the tensors that scoring feeds to logits, for a batch of any texts."""

import inspect
from collections.abc import Mapping
from typing import Any


def inputs_of(model: Any) -> frozenset[str]:
    """Return the names of the inputs that a model takes."""
    return frozenset(inspect.signature(model.forward).parameters)


def network(model: Any) -> Any:
    """Return a torch module that maps input_ids [b, t] and the other inputs of the model to logits [b, C].

    Encoder-decoder classifiers (BART, T5, ...) read the vector at a text's last end token. transformers takes the
    vectors at all end tokens and refuses a batch in which the texts have different numbers of them, as where a text
    holds a literal ``</s>``. Here the last one is looked up in each text by itself, which gives the same logits.
    """
    import torch

    reads_end = hasattr(model, "classification_head") and model.config.is_encoder_decoder

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any = None, token_type_ids: Any = None) -> Any:
            named = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
            given = {name: values for name, values in named.items() if values is not None}
            return _at_last_end(self.model, given) if reads_end else self.model(**given).logits

    return Network().eval()


def _at_last_end(model: Any, given: Mapping[str, Any]) -> Any:
    import torch

    ids = given["input_ids"]
    # T5's classifier makes the decoder's input itself; the others leave it to the network below.
    decoder = {"decoder_input_ids": model._shift_right(ids)} if hasattr(model, "_shift_right") else {}
    mask = torch.ones_like(ids)  # what the decoder uses if none is given, except while it is traced
    hidden = model.base_model(**given, **decoder, decoder_attention_mask=mask, use_cache=False)[0]
    places = torch.arange(ids.shape[1], device=ids.device)
    last = torch.where(ids == model.config.eos_token_id, places, 0).amax(dim=1)
    return model.classification_head(hidden[torch.arange(ids.shape[0], device=ids.device), last])
