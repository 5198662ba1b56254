"""Multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from harness.errors import UnknownName
from harness.interfaces.step import Output
from harness.nn.dropout import Dropout

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "leaky-relu": nn.LeakyReLU,
}


def activation_layer(name: str) -> nn.Module:
    """A layer by its name in `ACTIVATIONS`."""
    if name not in ACTIVATIONS:
        raise UnknownName("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]()


class MLP(nn.Module):
    """Linear layers with an activation after each but the last; inputs of any shape are flattened.

    Args:
        inputs: numbers in one example.
        widths: of the hidden layers; empty for a linear model.
        classes: number of logits.
        activation: a name in `ACTIVATIONS`.
        dropout: probability of dropping a hidden unit.

    Returns (forward): logits (B, classes) and features (B, widths[-1]), the input of the last layer.
    """

    vectorizable = True

    def __init__(
        self,
        inputs: int,
        widths: Sequence[int] = (256, 256),
        classes: int = 10,
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip([inputs, *widths], widths, strict=False):
            layers += [nn.Linear(before, after), activation_layer(activation)]
            if dropout > 0:
                layers.append(Dropout(dropout))
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear([inputs, *widths][-1], classes)

    def forward(self, x: Tensor) -> Output:
        features = self.body(x.flatten(1))
        return Output(self.head(features), features)
