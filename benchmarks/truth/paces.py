"""How often theta moves beside the weights, which no setting of `OneShotSearch` changes."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from asng.search import Loop

__all__ = ["theta_paced"]


@contextmanager
def theta_paced(*, moves: int = 1, of_steps: int = 1) -> Iterator[None]:
    """Let searches within move theta so often, one after the other, in each so manieth step past the warm-up.

    Args:
        moves: Theta steps where theta moves, each on a validation batch of its own, >= 1.
        of_steps: Theta moves in the first of so many steps of the weights, >= 1.
    """
    move_theta = Loop.move_theta

    def paced(loop: Loop) -> float | None:
        objective = None
        if (loop.state.step - loop.settling.first_step) % of_steps == 0:
            for _ in range(moves):
                objective = move_theta(loop)
        return objective

    with patch.object(Loop, "move_theta", paced):
        yield
