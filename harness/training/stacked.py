"""The mapping `vmap`: all seeds as one program over stacked tensors (`torch.func`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from harness.errors import HarnessError
from harness.interfaces.step import Step
from harness.training.loop import changed_buffers
from harness.training.program import Evaluation, FunctionalCaller, Moment, Recorded, Tensors, apply_rules
from harness.training.session import Session, unknown_terms

Stepped = tuple[Tensor, tuple[Tensors, Tensors, Tensors, Tensors]]


class StackedSession(Session):
    """The training of two or more requests that are alike.

    Seeds are independent, so the gradient of the sum of their losses is the stack of their gradients: without
    gradient rules only the forward pass is mapped. With rules, the whole of a rule is.
    """

    stacked = True
    mapping = "vmap"

    def gather_tensors(self) -> None:
        first = self.parts[0]
        self.learnable = {n: self._stack("learnable", n).requires_grad_() for n in first.learnable}
        self.constants = {n: self._stack("constants", n) for n in first.constants}
        self.buffers = {n: self._stack("buffers", n) for n in first.buffers}
        self._layout = self.layout()
        self._vmapped: dict[tuple[Any, ...], Callable[..., Any]] = {}

    def _stack(self, group: str, name: str) -> Tensor:
        return torch.stack([getattr(part, group)[name].detach() for part in self.parts])

    def tensors_of(self, seed: int) -> Tensors:
        every = {**self.learnable, **self.constants, **self.buffers}
        return {name: value.detach()[seed] for name, value in every.items()}

    def gradients(
        self, batches: Mapping[str, Tensors], memory: Tensors, moment: Moment, terms: Sequence[str], names: list[str]
    ) -> tuple[Tensors, Recorded]:
        if self.recipe.rules:
            return self._ruled(batches, memory, moment, terms, names)

        def forward(
            learnable: Tensors, constants: Tensors, buffers: Tensors, batch: Any, memory: Tensors, key: Tensor
        ) -> Stepped:
            caller = self._functional(learnable, constants, buffers, moment.number)
            step = self._evaluation(caller, batch, memory, key, moment)
            total, means = step.objective(terms)
            return total, (means, step.writes, step.logs, changed_buffers(self, caller, self._layout))

        totals, (means, writes, logs, buffers) = torch.func.vmap(forward)(
            self.learnable, self.constants, self.buffers, batches, memory, self.keys
        )
        if not totals.requires_grad:
            raise HarnessError("no term of the objective depends on a parameter that is being trained")
        self.evaluations += 1
        leaves = [self.learnable[name] for name in names]
        found = torch.autograd.grad(totals.sum(), leaves, allow_unused=True, materialize_grads=True)
        recorded = Recorded(*({k: v.detach() for k, v in part.items()} for part in (means, writes, logs, buffers)))
        self.buffers.update(recorded.buffers)
        return dict(zip(names, found, strict=True)), recorded

    def _evaluation(
        self, caller: FunctionalCaller, batches: Mapping[str, Tensors], memory: Tensors, key: Tensor, moment: Moment
    ) -> Evaluation:
        return Evaluation(self.recipe, caller, batches, memory, key, moment, self.frozen, self.dtype)

    def _functional(
        self, learnable: Tensors, constants: Tensors, buffers: Tensors, number: int
    ) -> FunctionalCaller:
        """A caller for one seed inside the mapped function, with copies of the buffers."""
        copies = {name: buffer.clone() for name, buffer in buffers.items()}
        self.set_counters(copies, self.parts[0].counters, number)
        every = {**learnable, **constants, **copies}
        return FunctionalCaller(
            self.modules,
            {module: {local: every[full] for local, full in names} for module, names in self._layout.items()},
        )

    def _ruled(
        self, batches: Mapping[str, Tensors], memory: Tensors, moment: Moment, terms: Sequence[str], names: list[str]
    ) -> tuple[Tensors, Recorded]:
        def one(
            learnable: Tensors, constants: Tensors, buffers: Tensors, batch: Any, memory: Tensors, key: Tensor
        ) -> tuple[Tensors, tuple[Tensors, Tensors, Tensors, Tensors]]:
            recorded = Recorded.empty()

            def evaluate(at: Tensors, wanted: tuple[str, ...]) -> Tensors:
                unknown_terms(wanted, terms)
                self.evaluations += 1

                def objective(here: Tensors) -> Stepped:
                    caller = self._functional({**learnable, **here}, constants, buffers, moment.number)
                    step = self._evaluation(caller, batch, memory, key, moment)
                    total, means = step.objective(wanted or terms)
                    return total, (means, step.writes, step.logs, changed_buffers(self, caller, self._layout))

                found, aux = torch.func.grad(objective, has_aux=True)(dict(at))
                recorded.merge(Recorded(*aux))
                return found

            caller = self._functional(learnable, constants, buffers, moment.number)
            step = self._evaluation(caller, batch, memory, key, moment)

            def call(i: int, gradient_at: Any, here: Tensors, now: Step) -> Tensors:
                return caller(f"rule/{i}", gradient_at, here, now)

            at = {name: learnable[name] for name in names}
            found = apply_rules(call, len(self.recipe.rules), evaluate, at, step)
            rules = {
                full: caller.tensors[module][local]
                for module in self.modules
                if module.startswith("rule/")
                for local, full in self._layout[module]
                if full in self.buffers
            }
            recorded.merge(Recorded({}, step.writes, step.logs, rules))
            return {name: found[name] for name in names}, recorded.parts()

        learnable = {name: value.detach() for name, value in self.learnable.items()}
        with torch.no_grad():
            found, parts = torch.func.vmap(one)(
                learnable, self.constants, self.buffers, batches, memory, self.keys
            )
        recorded = Recorded(*parts)
        self.buffers.update(recorded.buffers)
        return found, recorded
