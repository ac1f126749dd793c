"""A small problem for trainers: which width and which activation a network needs."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import asng

loss = asng.supervised(nn.functional.mse_loss)


def data(n=64, seed=0):
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))
    return TensorDataset(x, x[:, :1] * x[:, 1:2])


def loader(n=64, seed=0, *, shuffle=False):
    generator = torch.Generator().manual_seed(1) if shuffle else None
    return DataLoader(data(n, seed), batch_size=8, shuffle=shuffle, generator=generator)


def network(norm=False):
    torch.manual_seed(0)
    width = asng.Integer(2, 8, label="width")
    ops = {"tanh": nn.Tanh(), "zero": nn.Sequential(nn.Dropout(1.0))}
    layers = [asng.nn.Linear(3, width), asng.nn.Choice(ops, label="op")]
    layers += [asng.nn.BatchNorm1d(width)] if norm else []
    return nn.Sequential(*layers, asng.nn.Linear(8, 1))
