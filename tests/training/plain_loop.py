"""Training as anybody would write it: plain PyTorch, nothing of harness. Weights and batch order come as arrays."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def mlp(inputs, width, classes):
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, classes))


def train(weights, x, y, orders, batch, make_optimizer, rate=None, dtype=torch.float64, after=None):
    """Weights after training.

    Args:
        weights: W1, b1, W2, b2 as arrays.
        orders: one array of positions an epoch.
        make_optimizer: parameters -> optimizer.
        rate: f(step, steps, epoch) -> learning rate, or None.
        after: called with the model after each step.
    """
    model = mlp(x.shape[1], weights[0].shape[0], weights[2].shape[0]).to(dtype)
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), weights, strict=True):
            parameter.copy_(torch.tensor(value, dtype=dtype))
    inputs, labels = torch.tensor(x, dtype=dtype), torch.tensor(y)
    optimizer = make_optimizer(model.parameters())
    steps, losses = sum(-(-len(order) // batch) for order in orders), []
    for epoch, order in enumerate(orders):
        for start in range(0, len(order), batch):
            ids = torch.tensor(order[start : start + batch])
            if rate is not None:
                for group in optimizer.param_groups:
                    group["lr"] = rate(len(losses), steps, epoch)
            loss = F.cross_entropy(model(inputs[ids]), labels[ids])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if after is not None:
                after(model)
            losses.append(loss.item())
    return [p.detach().numpy().copy() for p in model.parameters()], np.array(losses)
