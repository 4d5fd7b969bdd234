"""What does not go together in a low-resource recipe, refused before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from folkmoot.models.encoder import encoder_depth
from folkmoot.recipes.low_resource import LowResource
from folkmoot.records import BadInput, Post
from folkmoot.students.card import View


def check_towers(recipe: LowResource) -> None:
    """Refuse towers that do not go together.

    Raises:
        BadInput: encoders of several views are to be tuned, all layers are to be seen of such or of a tuned one, a
            shallow student has no tuned one to come from, or a first look has no n-grams or no text alone.
    """
    if recipe.encoder.views != ("text",) and recipe.encoder.tune:
        raise BadInput(
            f"a student that reads {', '.join(recipe.encoder.views)} has frozen encoders; leave out the tuning, or read "
            "the text alone"
        )
    if recipe.encoder.layers == "all" and (recipe.encoder.tune or recipe.encoder.views != ("text",)):
        raise BadInput(
            "a head sees all layers of a frozen encoder of the text alone; leave out the tuning and the other views, or "
            "'layers = \"all\"'"
        )
    if recipe.shallow is not None and not recipe.encoder.tune:
        raise BadInput(
            "a shallow student has the first layers of a tuned one: tune the encoder, or leave 'shallow' out"
        )
    if recipe.first_look is not None and (not recipe.lexical or recipe.encoder.views != ("text",)):
        raise BadInput(
            "a first look is the n-gram tower's, before an encoder reads the text; it needs 'lexical = true' and the view "
            "'text' alone, or leave 'first_look' out"
        )


def check_depth(encoder: str, layers: int) -> None:
    """Refuse a shallow student that is not shallower than the one it comes from.

    Raises:
        BadInput: the encoder has no more layers than `layers`.
    """
    depth = encoder_depth(encoder)
    if layers >= depth:
        raise BadInput(
            f"recipe table 'shallow', field 'layers': {layers} arrived; the encoder {encoder} has {depth} layers, and fewer "
            "are accepted"
        )


def check_views(shown: Mapping[str, bool], posts: Sequence[Post], path: Path, views: Sequence[View]) -> None:
    """Refuse a file of posts of which none shows any of the views.

    Args:
        shown: whether a post shows one, by its id.

    Raises:
        BadInput: names the file and the views.
    """
    if not any(shown[post.id] for post in posts):
        raise BadInput(
            f"{path}: none of the {len(posts)} posts shows the {'views' if len(views) > 1 else 'view'} "
            f"{', '.join(views)}, so a student that reads nothing else cannot learn. Give posts with media that can be "
            "read, or add the view text."
        )
