"""The modules of one seed (networks, terms, rules) with their initial weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from harness import streams
from harness.errors import HarnessError, UnknownName
from harness.interfaces.problem import Array
from harness.interfaces.recipe import Network, Recipe
from harness.interfaces.trained import Trained
from harness.nn.random import RandomModule, signed


class RuleModule(nn.Module):
    """Lets `functional_call` reach a rule's `gradients`."""

    def __init__(self, rule: nn.Module) -> None:
        super().__init__()
        self.rule = rule

    def forward(self, *arguments: object) -> object:
        return self.rule.gradients(*arguments)  # type: ignore[operator]


@dataclass
class Parts:
    """What one seed brings along.

    Attributes:
        modules: by name: networks, "term/<name>", "rule/<position>".
        learnable: "module.parameter" -> tensor, of networks that train at all and of terms.
        constants: parameters that never train: of frozen networks, averages and rules.
        buffers: "module.buffer" -> tensor.
        counters: the buffers that are counters of random layers.
    """

    modules: dict[str, nn.Module] = field(default_factory=dict)
    learnable: dict[str, Tensor] = field(default_factory=dict)
    constants: dict[str, Tensor] = field(default_factory=dict)
    buffers: dict[str, Tensor] = field(default_factory=dict)
    counters: tuple[str, ...] = ()

    @property
    def tensors(self) -> dict[str, Tensor]:
        return {**self.learnable, **self.constants, **self.buffers}

    def exported(self, network: str) -> list[tuple[str, str]]:
        """(local name, full name) of what is stored of a network: parameters and persistent buffers."""
        return [(local, f"{network}.{local}") for local in self.modules[network].state_dict()]


def build_parts(seed: int, recipe: Recipe, start: Trained | None, dtype: torch.dtype, device: str) -> Parts:
    """Build and initialise the networks, and copy the terms and rules that own tensors.

    Raises:
        HarnessError: a module with parameters of its own has no `reset_parameters`, a start does not fit, or an
            average is of a network that is not there.
    """
    parts = Parts()
    for name, network in recipe.networks.items():
        if not network.average_of:
            parts.modules[name] = _network(seed, name, network, start, dtype)
    for name, network in recipe.networks.items():
        if network.average_of:
            parts.modules[name] = _average(seed, name, network, parts.modules, start)
    for name, term in recipe.terms.items():
        parts.modules[f"term/{name}"] = _own_copy(seed, f"term/{name}", term)
    for position, rule in enumerate(recipe.rules):
        parts.modules[f"rule/{position}"] = RuleModule(_own_copy(seed, f"rule/{position}", rule))
    parts.modules = {name: parts.modules[name] for name in _order(recipe)}
    for name, module in parts.modules.items():
        module.to(device=device, dtype=dtype)
        _collect(parts, name, module, learns=_learns(recipe, name))
    return parts


def _order(recipe: Recipe) -> list[str]:
    rules = [f"rule/{position}" for position in range(len(recipe.rules))]
    return [*recipe.networks, *(f"term/{name}" for name in recipe.terms), *rules]


def _learns(recipe: Recipe, name: str) -> bool:
    if name in recipe.networks:
        return recipe.networks[name].trains and not recipe.networks[name].average_of
    return name.startswith("term/")


def _collect(parts: Parts, name: str, module: nn.Module, learns: bool) -> None:
    for local, parameter in module.named_parameters():
        trained = learns and parameter.requires_grad
        (parts.learnable if trained else parts.constants)[f"{name}.{local}"] = parameter
        parameter.requires_grad_(trained)
    for local, buffer in module.named_buffers():
        parts.buffers[f"{name}.{local}"] = buffer
    for path, child in module.named_modules():
        if isinstance(child, RandomModule):
            full = f"{name}.{path}." if path else f"{name}."
            parts.counters += (f"{full}stream_counter",)


def _network(seed: int, name: str, network: Network, start: Trained | None, dtype: torch.dtype) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        _seed(seed, f"init/{name}")
        module = network.factory(**network.options)
    if not isinstance(module, nn.Module):
        raise HarnessError(f"the factory of network '{name}' made a {type(module).__name__}, not a torch.nn.Module")
    initialise(module, seed, name)
    module.to(dtype=dtype)  # drawn in torch's own precision, loaded in that of training
    if network.start:
        load_weights(module, network.start, f"the start of network '{name}'")
    if start is not None and name in start.weights:
        load_weights(module, start.weights[name], f"the weights to start network '{name}' from")
    return module


def _average(
    seed: int, name: str, network: Network, modules: Mapping[str, nn.Module], start: Trained | None
) -> nn.Module:
    if network.average_of not in modules:
        raise UnknownName(f"network that '{name}' averages", network.average_of, modules)
    module = copy.deepcopy(modules[network.average_of])
    if network.start:
        load_weights(module, network.start, f"the start of network '{name}'")
    if start is not None and name in start.weights:
        load_weights(module, start.weights[name], f"the weights to start network '{name}' from")
    return module


def _own_copy(seed: int, name: str, module: nn.Module) -> nn.Module:
    """A copy to train, so that the author's object can be used again; the object itself where it owns no tensor."""
    if next(module.parameters(), None) is None and next(module.buffers(), None) is None:
        return module
    own = copy.deepcopy(module)
    initialise(own, seed, name)
    return own


def initialise(module: nn.Module, seed: int, name: str) -> None:
    """Draw the parameters of every submodule from the stream `init/<name>/<path>`, and key its random layers.

    Raises:
        HarnessError: a submodule owns parameters and defines no `reset_parameters()`.
    """
    with torch.random.fork_rng(devices=[]):
        for path, child in module.named_modules():
            if isinstance(child, RandomModule):
                child.stream_key.fill_(signed(streams.key(seed, f"dropout/{name}/{path}")))
            if next(child.parameters(recurse=False), None) is None:
                continue
            reset = getattr(child, "reset_parameters", None) or getattr(child, "_reset_parameters", None)
            if reset is None:
                where = f"'{name}.{path}'" if path else f"'{name}'"
                raise HarnessError(
                    f"{type(child).__name__} at {where} has parameters of its own but no reset_parameters(); "
                    "define reset_parameters(), which draws them from torch's generator"
                )
            _seed(seed, f"init/{name}/{path}")
            reset()


def _seed(seed: int, purpose: str) -> None:
    torch.default_generator.manual_seed(streams.key(seed, purpose) & ((1 << 63) - 1))


def load_weights(module: nn.Module, weights: Mapping[str, Array], what: str) -> None:
    """Copy arrays into parameters and buffers by name.

    Raises:
        UnknownName, HarnessError: a name or a shape that the module does not have.
    """
    targets = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    with torch.no_grad():
        for name, value in weights.items():
            if name not in targets:
                raise UnknownName(f"name in {what}", name, targets)
            if tuple(targets[name].shape) != np.shape(value):
                raise HarnessError(
                    f"{what}: '{name}' has shape {np.shape(value)}, the network needs {tuple(targets[name].shape)}"
                )
            targets[name].copy_(torch.as_tensor(np.array(value)))
