"""Of several processes, the first writes to a logger."""

from processes import values

from asng.integrations.loggers import SearchLogger


class Noted(SearchLogger):
    def __init__(self):
        super().__init__()
        self.said = []

    def open(self, run, config, step):
        self.said.append(["open", run, step, config["processes"]])
        return "one"

    def numbers(self, values, step):
        if "train/loss" in values:
            self.said.append(step)

    def text(self, name, text, step):
        pass

    def shut(self, status):
        self.said.append(status)


def searched(folder):
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    from asng import OneShotSearch, supervised
    from asng.nn import Choice, Supernet

    torch.manual_seed(0)
    x = torch.randn(32, 2)
    loader = DataLoader(TensorDataset(x, x[:, :1]), batch_size=8)
    op, said = Choice({"a": nn.Linear(2, 1), "b": nn.Linear(2, 1)}, label="op"), []
    for resume in (False, True):
        noted = Noted()
        search = OneShotSearch(Supernet(op), supervised(nn.functional.mse_loss), final=0.0, callbacks=[noted])
        search.fit(loader, loader, epochs=1, run_dir=folder, resume=resume, progress=False, check=False)
        said.append(noted.said)
    return said


def test_the_first_process_writes_and_takes_its_run_up_again(tmp_path):
    first, second = values(searched, str(tmp_path / "run"))
    assert first == [[["open", None, 0, 2], 1, 2, 3, 4, "finished"], [["open", "one", 4, 2], "finished"]]
    assert second == [[], []]
