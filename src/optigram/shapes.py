"""Shapes in annotations, as jaxtyping writes them: `Float[Tensor, "k c"]`. They are checked under pytest only.

jaxtyping is a tool of development; without it an annotation says just "Tensor".
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Shaped
else:
    try:
        from jaxtyping import Bool, Float, Int, Shaped
    except ImportError:

        class Float:
            """Takes shapes and forgets them."""

            def __class_getitem__(cls, annotation):
                return annotation[0]

        Bool = Int = Shaped = Float

__all__ = ["Bool", "Float", "Int", "Shaped"]
