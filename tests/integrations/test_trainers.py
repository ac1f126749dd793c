"""What all trainers share: when theta moves, what the model follows meanwhile, and that it resumes."""

import pytest
import torch
from trainer_problems import loader, loss, network

import asng
from asng.errors import InputError, RunError
from asng.integrations.trainers import TrainerSearch
from asng.nn.selection import current_selection


def search_of(net, **settings):
    settings = {"minimize": loss} | settings
    return TrainerSearch(asng.nn.Supernet(net), loader(seed=1, shuffle=True), **settings)


def train(net, search, batches, lr=0.1):
    """Take a step a batch; return the architectures that the model followed in each."""
    descent, followed = torch.optim.SGD(net.parameters(), lr=lr), []
    for batch in batches:
        search.begin_step()
        descent.zero_grad()
        loss(net, batch).backward()
        descent.step()
        followed.append(dict(current_selection().values))
        search.end_step()
    return followed


def test_theta_moves_after_the_warm_up_every_so_many_steps():
    net = network()
    search, moved = search_of(net, warmup=0.5, every=2), []
    search.start(steps=8)
    for batch in loader():
        before = search.theta.generation
        train(net, search, [batch])
        moved.append(search.theta.generation - before)
    assert moved == [0, 0, 0, 0, 0, 1, 0, 1]
    search.stop()


def test_each_step_follows_a_draw_and_all_else_the_likeliest():
    net = network()
    search = search_of(net, warmup=1.0)
    search.start(steps=64)
    followed = train(net, search, [batch for _ in range(8) for batch in loader()])
    assert len({tuple(one.items()) for one in followed}) > 5
    assert dict(current_selection().values) == dict(search.architecture)
    search.stop()
    assert current_selection() is None


def test_what_is_useless_is_not_found():
    net = network()
    search = search_of(net, lam=4)
    search.start(steps=320)
    train(net, search, [batch for _ in range(40) for batch in loader(shuffle=True)])
    search.stop()
    assert search.architecture["op"] == "tanh"
    assert search.theta.theta["op"][0] > 0.7  # at most 0.75 is possible


def test_maximize_is_the_other_way_round():
    def negative(forward, batch):
        return -loss(forward, batch)

    thetas = []
    for select in ({"minimize": loss}, {"minimize": None, "maximize": negative}):
        net = network()
        search = search_of(net, **select)
        search.start(steps=8)
        train(net, search, loader())
        search.stop()
        thetas.append(search.theta.state_dict()["theta"])
    assert thetas[0] == thetas[1]


@pytest.mark.parametrize("norm", [False, True])
def test_scoring_leaves_no_trace_in_the_network(norm):
    net = network(norm)
    search = search_of(net)
    net[1].eval()
    modes = [module.training for module in net.modules()]
    state = {name: value.clone() for name, value in net.state_dict().items()}
    search.move_theta()
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())


def test_the_child_is_plain_and_computes_what_the_likeliest_does():
    net = network()
    search = search_of(net)
    search.start(steps=8)
    train(net, search, loader())
    child, (x, _) = search.child(), next(iter(loader()))
    assert not any(type(module).__module__.startswith("asng") for module in child.modules())
    net.eval()
    torch.testing.assert_close(child(x), net(x))  # which follows the likeliest
    search.stop()


def test_the_norms_of_a_child_have_averages_of_the_data_that_are_given():
    net = network(norm=True)
    search = search_of(net)
    x = torch.cat([x for x, _ in loader()])
    child = search.child(loader())
    norm = next(module for module in child.modules() if isinstance(module, torch.nn.BatchNorm1d))
    before = torch.nn.Sequential(*list(child)[:2])
    torch.testing.assert_close(norm.running_mean, before(x).mean(dim=0))


def test_it_resumes_to_the_same_bits():
    def run(parts):
        net, state, weights = network(), None, None
        batches = list(loader())
        for first, last in parts:
            search = search_of(net)
            if state is not None:
                search.load_state_dict(state)
                net.load_state_dict(weights)
            search.start(steps=8)
            train(net, search, batches[first:last])
            search.stop()
            state = search.state_dict()
            weights = {name: value.clone() for name, value in net.state_dict().items()}
            net = network()
        return state["theta"], weights

    theta, weights = run([(0, 8)])
    again, weights_again = run([(0, 6), (6, 8)])
    assert again == theta
    assert all(torch.equal(value, weights_again[name]) for name, value in weights.items())


@pytest.mark.parametrize("state", [{}, {"theta": {}, "taken": 0, "held_out": {}}, {"theta": 3}])
def test_a_foreign_state_is_one_error(state):
    with pytest.raises(RunError):
        search_of(network()).load_state_dict(state)


def test_a_training_that_begins_again_after_an_error_follows_nothing_of_before():
    net = network()
    search = search_of(net)
    search.start(steps=8)
    search.begin_step()
    search.start(steps=8)
    search.stop()
    search.stop()
    assert current_selection() is None


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"minimize": None}, "minimize, maximize: expected one of them, got none"),
        ({"maximize": loss}, "minimize, maximize: expected one of them, got both"),
        ({"minimize": 3}, "minimize: expected a function"),
        ({"warmup": 2.0}, "warmup: expected a number in"),
        ({"every": 0}, "every: expected an integer >= 1"),
        ({"lam": 1}, "lam: expected an integer >= 2"),
        ({"optimizer": asng.ASNG(asng.Space({"other": asng.Integer(1, 2)}))}, "optimizer: expected one over"),
    ],
)
def test_arguments_are_checked(settings, told):
    with pytest.raises(InputError, match=told):
        search_of(network(), **settings)


def test_a_model_that_is_no_supernet_is_told():
    with pytest.raises(InputError, match=r"supernet: expected a Supernet, got Sequential\. Wrap the model"):
        TrainerSearch(network(), loader(), minimize=loss)
