"""What every method's contract suite checks."""

from __future__ import annotations

from typing import Any, ClassVar

from harness.describe.signature import parameters_of
from harness.interfaces.method import MethodBase


class MethodContract:
    """Base of the suites. Set `method` to your class and `params` to parameters that exercise it.

    Attributes:
        method: the class under test.
        params: parameters to build it with; the defaults must work too.
    """

    method: ClassVar[type[MethodBase]]
    params: ClassVar[dict[str, Any]] = {}

    def make(self) -> Any:
        """A fresh instance with `params`."""
        return self.method(**self.params)

    def test_defaults_build_an_instance(self) -> None:
        assert isinstance(self.method(), self.method)

    def test_is_documented(self) -> None:
        assert (self.method.__doc__ or "").strip(), "the class has no docstring"

    def test_parameters_are_named_typed_and_plain(self) -> None:
        for parameter in parameters_of(self.method):
            assert not parameter.required, f"parameter {parameter.name} has no default"
            assert parameter.schema.get("type") != "any", f"parameter {parameter.name} has no type"

    def test_space_names_parameters(self) -> None:
        unknown = set(self.method.space) - {parameter.name for parameter in parameters_of(self.method)}
        assert not unknown, f"space names unknown parameters: {sorted(unknown)}"
