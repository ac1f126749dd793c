"""A user's package: a tiny model, loaders of several forms, losses, and what can be wrong with each."""

import textwrap
from pathlib import Path

QUICK = ["--epochs", "2", "--retrain-epochs", "1", "--peers", "1", "--quiet", "--device", "cpu"]
NET = ["--model", "owned.net.Net", "--model.width", "4"]
DATA = ["--data", "owned.data.loaders"]

PARTS = {
    "__init__": "",
    "net": '''
        """Models."""

        import torch
        from torch import nn

        import asng


        class Net(nn.Module):
            """Sorts points.

            Args:
                width: Units of the hidden layer.
                act: What comes after it.
            """

            def __init__(self, width: int, depth: int = 1, act: nn.Module | None = None):
                super().__init__()
                if width < 1:
                    raise ValueError("width is too small")
                self.first = nn.Linear(2, width)
                ops = [{"deep": nn.Linear(width, width), "skip": nn.Identity()} for _ in range(depth)]
                self.body = nn.Sequential(*(asng.nn.Choice(op, label=f"op{i}") for i, op in enumerate(ops)))
                self.last = nn.Sequential(act or nn.ReLU(), nn.Linear(width, 2))

            def forward(self, x):
                return self.last(self.body(self.first(x)))


        class Plain(nn.Module):
            """Has nothing to search.

            Args:
                width: Units of the only layer.
            """

            def __init__(self, width: int):
                super().__init__()
                self.only = nn.Linear(2, width)


        class Small(nn.Module):
            """A plain network.

            Args:
                units: Of its hidden layer.
                act: What comes after it.
            """

            def __init__(self, units: int = 3, act: nn.Module | None = None):
                super().__init__()
                self.layers = nn.Sequential(nn.Linear(2, units), act or nn.ReLU(), nn.Linear(units, 2))

            def forward(self, x):
                return self.layers(x)


        class Frame:
            """No module."""
        ''',
    "data": '''
        """Loaders."""

        import torch
        from torch.utils.data import DataLoader, TensorDataset


        def points(n, seed):
            x = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
            return TensorDataset(x, (x.sum(dim=1) > 0).long())


        def loaders(batch_size: int = 8, *, n: int = 48, seed: int):
            """Points on two sides of a line.

            Args:
                batch_size: Points in a batch.
            """
            assert isinstance(seed, int)
            train = DataLoader(points(n, 0), batch_size, shuffle=True)
            return train, DataLoader(points(16, 1), 16), DataLoader(points(20, 2), 16)


        def one():
            return DataLoader(points(45, 0), 8, shuffle=True)


        def as_dicts():
            items = [{"point": x, "label": y} for x, y in points(32, 0)]
            return {"train": DataLoader(items, 8, shuffle=True), "test": DataLoader(items, 8)}
        ''',
    "scores": '''
        """Losses and objectives."""

        from torch.nn import functional


        def dict_loss(forward, batch):
            return functional.cross_entropy(forward(batch["point"]), batch["label"])


        def hits(forward, batch):
            return (forward(batch["point"]).argmax(dim=1) == batch["label"]).float().mean()
        ''',
    "shell": '''
        """What a stranger would have called: anything that does harm."""

        import os

        import torch


        def run(command):
            os.system(command)


        class Made(torch.nn.Module):
            def __init__(self, command: str):
                super().__init__()
                os.system(command)
        ''',
    "broken": "import torch\n\ntorch.nn.Embedding(2, 3, padding_idx=9)\n",
    "unwritten": "def f(:\n",
    "lacking": "import nonesuch\n",
    "leaving": "import sys\n\nsys.exit(3)\n",
    "wrong": """
        import torch
        from torch.utils.data import DataLoader, IterableDataset, TensorDataset


        class Endless(IterableDataset):
            def __iter__(self):
                yield torch.zeros(2)


        def none():
            return None


        def four():
            return [1], [2], [3], [4]


        def dataset():
            return TensorDataset(torch.zeros(3))


        def names():
            return {"train": [1], "vaild": [2]}


        def only_test():
            return {"test": [1]}


        def empty():
            return DataLoader(TensorDataset(torch.zeros(4, 2)), batch_size=8, drop_last=True)


        def endless():
            return DataLoader(Endless())


        def number():
            return 3


        def raises():
            return open("/nowhere/at/all")


        def triples():
            return DataLoader([(torch.zeros(2), 0, 0)] * 8, batch_size=2)


        WORD = "word"
        """,
}


def write_package(folder: Path, name: str) -> Path:
    """Write the package into a folder."""
    home = folder / name
    home.mkdir()
    for part, text in PARTS.items():
        (home / f"{part}.py").write_text(textwrap.dedent(text).lstrip())
    return home
