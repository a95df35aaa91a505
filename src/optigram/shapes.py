"""Shapes in annotations, as jaxtyping writes them: `Float[Tensor, "k c"]`. They are checked under pytest only.

jaxtyping is a development dependency. Without it, and for a type checker, an annotation is the plain array type.
"""

from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Annotated as Bool
    from typing import Annotated as Float
    from typing import Annotated as Int
    from typing import Annotated as Shaped

    P = ParamSpec("P")
    R = TypeVar("R")

    def unchecked(function: Callable[P, R]) -> Callable[P, R]:
        """Leave the types of a function's arguments to the function, which refuses wrong ones in one line of its own."""
        ...

else:
    from typing import no_type_check as unchecked

    try:
        from jaxtyping import Bool, Float, Int, Shaped
    except ImportError:

        class Float:
            """Drop the shape: `Float[Tensor, "k c"]` is Tensor."""

            def __class_getitem__(cls, annotation):
                return annotation[0]

        Bool = Int = Shaped = Float

__all__ = ["Bool", "Float", "Int", "Shaped", "unchecked"]
