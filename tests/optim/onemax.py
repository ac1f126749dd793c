"""How long a search takes where every variable has one right choice."""

import math

from asng import Categorical, Space

RIGHT = 3


def choices(n):
    return Space({f"c{i}": Categorical(range(5)) for i in range(n)})


def evaluations(opt, most=2_400):
    """Samples drawn until one has every choice right; infinity if none of so many has."""
    for update in range(most // opt.lam):
        candidates = opt.ask()
        wrong = [sum(value != RIGHT for value in c.architecture.values()) for c in candidates]
        if 0 in wrong:
            return opt.lam * update + wrong.index(0)
        opt.tell(candidates, wrong)
    return math.inf
