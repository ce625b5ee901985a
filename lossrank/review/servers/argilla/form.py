"""What a data set on an Argilla 2.x server asks, in the SDK's terms: made of a form, and held against one."""

from typing import Any

from lossrank.review.servers.argilla.record import FLOATS, INTEGERS, MAX_NAME, QUESTION, TERMS
from lossrank.review.servers.server import Form, ReviewError

_GUIDELINES = (
    "Each text was given the label in its metadata (given), which a model finds hard to believe. Submit the label that "
    "is right, be it the given one, the suggested one or another. Discard what should not be in the data at all."
)


def settings_of(sdk: Any, form: Form) -> Any:
    """Return the settings of a data set that is made for a form.

    Raises:
        ReviewError: Argilla can't offer the classes.
    """
    too_long = [one for one in form.class_names if len(one) > MAX_NAME]
    if too_long or len(form.class_names) < 2:
        what = f"a class of {len(too_long[0])} characters" if too_long else f"{len(form.class_names)} class"
        raise ReviewError(f"Argilla takes 2 or more classes of at most {MAX_NAME} characters; this model has {what}")
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
    """Pass a published data set that asks for one of the classes and has the texts' fields.

    Raises:
        ReviewError: it lacks one of them.
    """
    settings = dataset.settings
    question = next((one for one in settings.questions if one.name == QUESTION), None)
    fields = [field.name for field in settings.fields]
    labels = question.labels if isinstance(question, sdk.LabelQuestion) else None
    if labels is None:
        lacks: str | None = f"question {QUESTION!r} for one label"
    else:
        lacks = next((f"label {one!r}" for one in form.class_names if one not in labels), None)
    lacks = lacks or next((f"field {one!r}" for one in form.fields if one not in fields), None)
    if lacks:
        raise ReviewError(f"the data set {dataset.name!r} on the server has no {lacks}; choose another --name")


def lacking(dataset: Any, ours: Any) -> list[Any]:
    """Return what a draft still lacks of our settings, in their order.

    Raises:
        ReviewError: it has something that is not in them.
    """
    there, wanted = _parts(dataset.settings), _parts(ours)
    if any(wanted.get(name, (None,))[0] != said for name, (said, _) in there.items()):
        raise ReviewError(
            f"the data set {dataset.name!r} on the server is a draft with other settings; publish or delete it there, "
            "or choose another --name"
        )
    return [one for name, (_, one) in wanted.items() if name not in there]


def _parts(settings: Any) -> dict[str, tuple[object, Any]]:
    """Return fields, questions and all else of settings by name, each with what it is."""
    parts = (*settings.fields, *settings.questions, *settings.vectors, *settings.metadata)
    return {one.name: ((type(one), getattr(one, "required", None), getattr(one, "labels", None)), one) for one in parts}
