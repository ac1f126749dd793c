"""Teaching a network by another."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from asng.errors import InputError
from asng.training import distilled, relative_error, soft_cross_entropy, supervised, train

mse = supervised(nn.functional.mse_loss)
X, Y = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(6, 2)


def test_the_loss_is_the_two_parts_by_weight():
    teacher, student = nn.Linear(3, 2), nn.Linear(3, 2)
    own, far = mse(student, (X, Y)), relative_error(student(X), teacher(X))
    for weight in (0.0, 0.3, 1.0):
        value = distilled(teacher, mse, weight)(student, (X, Y))
        assert value.item() == pytest.approx(((1 - weight) * own + weight * far).item(), rel=1e-5)


def test_the_teacher_is_in_evaluation_whatever_it_was_and_never_changes():
    teacher = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.9), nn.Linear(3, 2)).train()
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    loss = distilled(teacher, mse, 1.0)
    values = {loss(nn.Identity(), (X[:, :2], Y)) if False else loss(teacher.eval(), (X, Y)).item()}
    assert values == {0.0}  # no dropout in either
    assert all(torch.equal(v, before[k]) for k, v in teacher.state_dict().items())


def test_no_gradient_goes_into_the_teacher_which_is_a_copy():
    teacher = nn.Linear(3, 2)
    loss = distilled(teacher, mse)
    loss(teacher, (X, Y)).backward()
    first = teacher.weight.grad.clone()
    with torch.no_grad():
        teacher.weight.zero_()  # the model that is taught may be the one that the teacher was made of
    assert relative_error(teacher(X), torch.ones(6, 2)).isfinite()
    assert loss(nn.Linear(3, 2), (X, Y)).item() > 0
    assert first.abs().sum() > 0


def test_a_student_learns_what_its_teacher_computes_without_labels():
    torch.manual_seed(0)
    teacher, student = nn.Linear(3, 2), nn.Linear(3, 2)
    loader = DataLoader(TensorDataset(X, Y), batch_size=6)
    loss = distilled(teacher, mse, 1.0)
    before = loss(student, (X, Y)).item()
    train(student, loader, loss=loss, epochs=300)
    assert loss(student, (X, Y)).item() < 0.05 * before


def test_an_output_without_variance_counts_no_more_than_others():
    one = torch.tensor([[0.7]])
    assert relative_error(one + 0.1, one).item() == pytest.approx(0.1**2 / (0.7**2 + 0.8**2))
    assert relative_error(torch.ones(3, 1), torch.zeros(3, 1)).item() == 1.0
    assert relative_error(torch.zeros(3, 1), torch.zeros(3, 1)).item() == 0.0
    same = torch.full((1000,), 0.1)  # rounding leaves it some variance
    assert relative_error(same + 0.1, same).item() < 1.0


@pytest.mark.parametrize("distance", [relative_error, soft_cross_entropy(), soft_cross_entropy(0.01)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_distances_of_half_precisions_are_those_of_the_same_numbers(distance, dtype):
    output, target = torch.tensor([[300.0, -20.0, 2.0]]), torch.tensor([[290.0, 9.0, 1.0]])
    exact = distance(output, target).item()
    assert distance(output.to(dtype), target.to(dtype)).item() == pytest.approx(exact, rel=1e-5)


def test_a_network_that_returns_its_loss_alone_has_nothing_to_be_taught():
    class Inside(nn.Linear):
        def forward(self, batch):
            return nn.functional.mse_loss(super().forward(batch[0]), batch[1])

    loss = distilled(Inside(3, 2), lambda forward, batch: forward(batch))
    with pytest.raises(InputError, match=r"^teacher: .* got none\. Let forward return its predictions too"):
        loss(Inside(3, 2), (X, Y))


def test_soft_labels_are_softened_and_weighted_as_in_the_paper():
    output, target = torch.tensor([[1.0, 2.0, 0.5]]), torch.tensor([[0.0, 3.0, 1.0]])
    q, p = (output / 4).softmax(-1), (target / 4).softmax(-1)
    expected = 16 * (p * (p / q).log()).sum()
    assert soft_cross_entropy(4.0)(output, target).item() == pytest.approx(expected.item(), rel=1e-5)


def test_outputs_that_are_records_are_compared_in_what_has_the_same_shape():
    class Wide(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.a, self.b = nn.Linear(3, width), nn.Linear(width, 2)

        def forward(self, x):
            hidden = self.a(x)
            return {"logits": self.b(hidden), "hidden": hidden, "loss": hidden.mean()}

    def loss(forward, batch):
        return (forward(batch[0])["logits"] - batch[1]).square().mean()

    teacher, student = Wide(8), Wide(5)
    value = distilled(teacher, loss, 1.0)(student, (X, Y))
    wanted = relative_error(student(X)["logits"], teacher(X)["logits"])
    assert value.item() == pytest.approx(wanted.item(), rel=1e-6)


def test_every_call_of_the_network_is_heard():
    teacher, student = nn.Linear(3, 2), nn.Linear(3, 2)

    def pair(forward, batch):
        return (forward(batch[0]) - forward(2 * batch[0])).square().mean()

    value = distilled(teacher, pair, 1.0)(student, (X, Y))
    wanted = (relative_error(student(X), teacher(X)) + relative_error(student(2 * X), teacher(2 * X))) / 2
    assert value.item() == pytest.approx(wanted.item(), rel=1e-6)


def test_what_a_teacher_takes_out_of_a_batch_is_there_for_the_network():
    class Taking(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, batch):
            return self.layer(batch.pop("x"))

    value = distilled(Taking(), lambda forward, batch: forward({"x": batch}).mean(), 0.5)(Taking(), X)
    assert value.isfinite()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((lambda x: x, mse), "teacher: expected a torch.nn.Module"),
        ((nn.Linear(3, 2), "mse"), "expected functions"),
        ((nn.Linear(3, 2), mse, 1.5), "weight: expected"),
    ],
)
def test_wrong_arguments_are_refused_before_any_pass(arguments, words):
    with pytest.raises(InputError, match=words):
        distilled(*arguments)


def test_a_loss_that_calls_nothing_and_a_teacher_of_another_shape_are_told():
    with pytest.raises(InputError, match="a loss that never does"):
        distilled(nn.Linear(3, 2), lambda forward, batch: torch.ones(()))(nn.Linear(3, 2), (X, Y))
    with pytest.raises(InputError, match=r"\(6, 4\).*for.*\(6, 2\)"):
        distilled(nn.Linear(3, 4), mse)(nn.Linear(3, 2), (X, Y))


class Counting(nn.Module):
    """A teacher that counts its passes, in a list that copies of it share."""

    passes: list[int] = []

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x, scale=1.0):
        self.passes.append(len(x))
        return self.layer(x) * (1.0 if isinstance(scale, str) else getattr(scale, "value", scale))


class Scale:
    def __init__(self, value):
        self.value = value


def far(student, teacher, *args, **kwargs):
    loss = distilled(
        teacher, lambda forward, batch: forward(*batch[0], **batch[1]).sum() * 0.0, 1.0, **kwargs
    )
    return loss, lambda *inputs, **named: loss(student, (inputs, named)).item()


def test_what_the_teacher_gave_is_remembered_by_the_content_of_its_inputs():
    teacher, student = Counting(), Counting()
    _, plain = far(student, teacher)
    _, remembering = far(student, teacher, remember=2)
    inputs = [
        ((X,), {}),
        ((X.clone(),), {}),
        ((X + 1e-7,), {}),
        ((X,), {"scale": 2.0}),
        ((X,), {"scale": 1.0}),
        ((X.T.contiguous().T,), {"scale": 1.0}),
        ((X,), {"scale": "1.0"}),
        ((X,), {"scale": Scale(3.0)}),
        ((X,), {"scale": Scale(3.0)}),
        ((X[:5],), {}),
        ((X,), {}),
    ]
    expected, asked = [plain(*args, **named) for args, named in inputs], []
    for (args, named), value in zip(inputs, expected, strict=True):
        before = len(Counting.passes)
        assert remembering(*args, **named) == value
        asked.append(len(Counting.passes) - before - 1)  # but for the student's own
    assert asked == [1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 1]  # objects of unknown kinds, and the third last, are not


def test_how_much_is_remembered_is_checked():
    with pytest.raises(InputError, match="remember: expected an integer >= 0, got -1"):
        distilled(nn.Linear(3, 2), mse, remember=-1)


def test_outputs_that_a_model_makes_in_training_only_are_taught_too():
    class Auxiliary(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.aux, self.drop = nn.Linear(3, 2), nn.Linear(3, 2), nn.Dropout(0.5)

        def forward(self, x):
            return (self.head(x), self.aux(self.drop(x))) if self.training else self.head(x)

    def size(forward, batch):
        output = forward(batch)
        return (output[0] if isinstance(output, tuple) else output).square().mean()

    model = Auxiliary()
    loss = distilled(model, size, 1.0, remember=2)
    for mode in (True, False, True):
        model.train(mode).drop.eval()
        assert loss(model, torch.ones(4, 3)) == 0.0  # the teacher's outputs are the same in both modes


class Noisy(nn.Module):
    """A network that draws in evaluation too, as a variational autoencoder does."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        y = self.layer(x)
        return y + torch.randn_like(y)


@pytest.mark.parametrize("remember", [0, 4])
def test_a_teacher_that_draws_gives_the_same_answer_again_and_leaves_the_generator_alone(remember):
    """Else a network would draw other numbers if the answer is remembered, as in a run that is resumed."""
    loss = distilled(Noisy(), supervised(nn.functional.mse_loss), remember=remember)
    batch = torch.ones(4, 3), torch.zeros(4, 2)
    network, values = Noisy(), []
    for _ in range(3):
        torch.manual_seed(5)
        values.append((loss(network, batch).item(), torch.rand(()).item()))
    assert values[0] == values[1] == values[2]
    torch.manual_seed(5)
    network(batch[0])
    assert values[0][1] == torch.rand(()).item()
