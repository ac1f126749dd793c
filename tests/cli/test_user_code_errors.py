"""What can be wrong with a user's own classes: one line each, and nothing on the disk."""

import pytest
from command_lines import told
from user_package import DATA, NET

pytestmark = pytest.mark.usefixtures("at_home")


def files(folder):
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "owned.net.Nett"], "model: module owned.net has no 'Nett'. Did you mean 'Net'?"),
        (["--model", "owned.nets.Net"], "model: module owned has no 'nets'. Did you mean 'net'?"),
        (["--model", "ownd.net.Net"], "model: there is no module 'ownd'. Did you mean 'owned'?"),
        (["--model", "Net"], "model: expected an import path such as package.module.name, got 'Net'"),
        (["--model", "owned.net"], "model: expected owned.net to be a torch.nn.Module class, got a module"),
        (["--model", "owned.net.Frame"], "to be a torch.nn.Module class, got the class Frame"),
        (["--model", "owned.data.points"], "to be a torch.nn.Module class, got a function"),
        (["--model", "owned.broken.Net"], "AssertionError: Padding_idx must be within"),
        (["--model", "owned.broken.Net"], "(owned/broken.py, line 3)"),
        (["--model", "owned.unwritten.Net"], "SyntaxError: invalid syntax (owned/unwritten.py, line 1)"),
        (["--model", "owned.lacking.Net"], "No module named 'nonesuch' (owned/lacking.py, line 1)"),
        (["--model", "owned.leaving.Net"], "SystemExit: 3 (owned/leaving.py, line 3)"),
        (
            ["--model.width", "-1"],
            "model: owned.net.Net fails: ValueError: width is too small (owned/net.py, ",
        ),
        (["--model", "owned.net.Plain"], "model: expected at least one searchable module, got none in Plain"),
        (["--data", "owned.data.loader"], "data: module owned.data has no 'loader'. Did you mean 'loaders'?"),
        (["--data", "torch.zeros"], "data: expected torch.zeros to say which arguments it takes"),
        (["--baseline", "torch.relu"], "baseline: expected torch.relu to say which arguments it takes"),
        (
            ["--loss", "nn.CrossEntropyLoss()"],
            "loss: expected an import path such as package.module.name, got",
        ),
        (["--data", "owned.wrong.Endless"], "to be a function that returns loaders, got the class Endless"),
        (["--data", "owned.wrong.WORD"], "to be a function that returns loaders, got a str"),
        (["--data", "owned.wrong.none"], "owned.wrong.none: expected a training loader, got None"),
        (["--data", "owned.wrong.only_test"], "expected a training loader, got dict"),
        (["--data", "owned.wrong.four"], "expected 1 to 3 loaders, got 4"),
        (["--data", "owned.wrong.dataset"], "train: expected a loader, got a dataset, TensorDataset"),
        (["--data", "owned.wrong.names"], "expected loaders by name, got 'vaild'. Did you mean 'valid'?"),
        (["--data", "owned.wrong.number"], "train: expected a loader, got int '3'"),
        (["--data", "owned.wrong.empty"], "train: expected at least one batch, got none"),
        (["--data", "owned.wrong.endless"], "train: expected a loader with a length, got DataLoader"),
        (["--data", "owned.wrong.raises"], "fails: FileNotFoundError: [Errno 2]"),
        (["--data", "owned.wrong.triples"], "batch: expected an (input, target) pair"),
        (
            ["--loss", "cros_entropy"],
            "torch.nn.functional has no 'cros_entropy'. Did you mean 'cross_entropy'?",
        ),
        (
            ["--loss", "owned.net.Frame"],
            "expected owned.net.Frame to be a function of (output, target), got a",
        ),
        (["--batch-loss", "dict_loss"], "batch_loss: expected an import path such as package.module.name"),
        (["--maximize", "accurcy"], "module asng.training has no 'accurcy'. Did you mean 'accuracy'?"),
        (["--maximize", "accuracy", "--minimize", "accuracy"], "expected at most one of them, got both"),
        (["--seeds", "2", "--data", "owned.wrong.none"], "expected a training loader, got None"),
        (
            ["--trust", "owned.net.Net"],
            "trust: expected only with --resume, for the names in the run's config.yaml",
        ),
        (["--device", "gpu7"], "device: expected auto, cpu or a device that is here, got 'gpu7'"),
    ],
)
def test_what_is_wrong_is_one_line_and_leaves_nothing_behind(words, message, home, capsys):
    before = files(home)
    _, error = told(["search", "--run-dir", "new", *NET, *DATA, *words], capsys, code=1)
    assert message in error
    assert error.count("\n") == 1
    assert files(home) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*NET, *DATA, "--model.widht", "64"], "--model.widht 64. Did you mean '--model.width'?"),
        ([*NET, *DATA, "--data.btach_size", "4"], "--data.btach_size 4. Did you mean '--data.batch_size'?"),
        (
            [*NET, *DATA, "--model.width", "wide"],
            "--model.width: expected an integer, got wide.",
        ),
        (
            [*NET, *DATA, "--model.act=torch.nn.ELU", "--model.act.alphe=3"],
            "path 'torch.nn.ELU': Option 'alphe' is not accepted",
        ),
        (
            ["--model", "owned.net.Net", *DATA],
            "asng search: expected a value for --model.width, got none",
        ),
        ([*NET, *DATA, "--baseline=owned.net.Small", "--baseline.unist=3"], "mean '--baseline.units'?"),
        ([*NET, *DATA, "--cells", "3"], "unrecognized arguments: --cells 3"),
        (["--config", "{epohcs: 3}"], "does not accept option 'epohcs'."),
        (
            ["--config", "{model: {import: owned.net.Net, widht: 3}, data: {import: owned.data.loaders}}"],
            "does not accept option 'model.widht'.",
        ),
    ],
)
def test_wrong_flags_exit_with_2_and_leave_nothing_behind(words, message, home, capsys):
    before = files(home)
    _, error = told(["search", "--run-dir", "new", *words], capsys, code=2)
    assert message in error
    assert files(home) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (NET, "data: expected together with --model, got none. Give --data package.module.loaders"),
        (DATA, "model: expected together with --data, got none. Give --model package.module.Net"),
        (["--model.width", "3"], "--model.width: expected only with --model and --data, got neither"),
        (["--baseline", "owned.net.Small"], "model: expected together with --baseline, got none"),
        (["--baseline.units", "3"], "--baseline.units: expected only with --model and --data, got neither"),
        (
            [*NET, *DATA, "--baseline.units=3"],
            "--baseline.units: expected only with --baseline, got no baseline.",
        ),
        (["--loss=mse_loss"], "--loss: expected only with --model and --data, got neither"),
        (["--model"], "--model: expected a value, got none"),
        (["--config", "model: owned.net.Net"], "expected a mapping, got 'owned.net.Net'. Write import:"),
    ],
)
def test_half_of_what_is_needed_is_an_error(words, message, capsys):
    _, error = told(["search", *words], capsys, code=1)
    assert message in error
    assert error.count("\n") == 1
