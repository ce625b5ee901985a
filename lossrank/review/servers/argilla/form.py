"""Make the settings of an Argilla 2.x data set from a form, or check a data set's settings against the form."""

from typing import Any

from lossrank.review.servers.argilla.record import FLOATS, INTEGERS, MAX_NAME, QUESTION, TERMS
from lossrank.review.servers.server import Form, ReviewError

_GUIDELINES = (
    "A model doubts the label of each text, which is in its metadata (given). Submit the right label: the given one, "
    "the suggested one or another. Discard a text that should not be in the data at all."
)


def settings_of(sdk: Any, form: Form) -> Any:
    """Return the settings of a new data set for a form.

    Raises:
        ReviewError: Argilla does not accept the number or names of the classes.
    """
    too_long = [name for name in form.class_names if len(name) > MAX_NAME]
    if too_long or len(form.class_names) < 2:
        what = f"a class of {len(too_long[0])} characters" if too_long else f"{len(form.class_names)} class"
        raise ReviewError(f"Argilla accepts 2 or more classes of at most {MAX_NAME} characters; this model has {what}")
    return sdk.Settings(
        guidelines=_GUIDELINES,
        fields=[sdk.TextField(name) for name in form.fields],
        questions=[sdk.LabelQuestion(QUESTION, labels=list(form.class_names), required=True)],
        metadata=[
            *(sdk.FloatMetadataProperty(name) for name in FLOATS),
            *(sdk.IntegerMetadataProperty(name) for name in INTEGERS),
            *(sdk.TermsMetadataProperty(name) for name in TERMS),
        ],
        allow_extra_metadata=True,
    )


def check(sdk: Any, dataset: Any, form: Form) -> None:
    """Check that a published data set has the form's question, classes and text fields.

    Raises:
        ReviewError: the data set lacks the question, a class or a text field.
    """
    settings = dataset.settings
    question = next((found for found in settings.questions if found.name == QUESTION), None)
    fields = [field.name for field in settings.fields]
    labels = question.labels if isinstance(question, sdk.LabelQuestion) else None
    if labels is None:
        lacks: str | None = f"question {QUESTION!r} for one label"
    else:
        lacks = next((f"label {name!r}" for name in form.class_names if name not in labels), None)
    lacks = lacks or next((f"field {name!r}" for name in form.fields if name not in fields), None)
    if lacks:
        raise ReviewError(f"the data set {dataset.name!r} on the server has no {lacks}; give another `name`")


def lacking(dataset: Any, ours: Any) -> list[Any]:
    """Return the parts of our settings that a draft still lacks, in order.

    Raises:
        ReviewError: the draft has a part that is not in our settings.
    """
    present, wanted = _parts(dataset.settings), _parts(ours)
    if any(wanted.get(name, (None,))[0] != kind for name, (kind, _) in present.items()):
        raise ReviewError(
            f"the data set {dataset.name!r} on the server is a draft with other settings; publish or delete it there, "
            "or give another `name`"
        )
    return [part for name, (_, part) in wanted.items() if name not in present]


def _parts(settings: Any) -> dict[str, tuple[object, Any]]:
    """Return (kind, part) for each field, question, vector and metadata property in the settings, by name."""
    parts = (*settings.fields, *settings.questions, *settings.vectors, *settings.metadata)
    return {part.name: (_kind(part), part) for part in parts}


def _kind(part: Any) -> tuple[object, ...]:
    return type(part), getattr(part, "required", None), getattr(part, "labels", None)
