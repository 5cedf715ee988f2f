"""The event-based gated recurrent unit (EGRU), used as `torch.nn.GRU` is.

Units keep a cell state c and emit it, y = c·H(c−ϑ), only where it is above their threshold ϑ. Two
variants: that of the paper (Eq. 3–5), and that of its public code (EvNN), which keeps with its
first gate, applies the reset gate after the product, and after an event lowers the cell by ϑ.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from hearsay.errors import InputError
from hearsay.lm.backends import selection
from hearsay.lm.backends.layer import Constants

if TYPE_CHECKING:
    from hearsay.lm.activity import ActivityCounter

VARIANTS = ("paper", "evnn")


class EGRUState(NamedTuple):
    """What is carried from one chunk to the next, of all layers."""

    c: Tensor  # [L, B, H] cell state; of variant evnn after its soft reset
    y: Tensor  # [L, B, H] emitted values

    def detach(self) -> "EGRUState":
        """The same numbers, with no gradient into the chunk before."""
        return EGRUState(self.c.detach(), self.y.detach())


class EGRU(nn.Module):
    """Layers of event-based gated recurrent units.

    Parameters
    ----------
    input_size, hidden_size, num_layers : I, H and L.
    variant : "paper" (Eq. 3–5) or "evnn" (the public code's equations).
    dropconnect : share of hidden-to-hidden weights set to zero while training, drawn anew once per
        call of `forward` (that is, per chunk), element by element; the others are scaled up.
    pseudo_derivative_width, pseudo_derivative_height : ε and λ of the surrogate derivative of the
        step function, λ·max(0, 1 − |c−ϑ|/ε).
    threshold_mean : μ of τ ~ N(μ, √2), ϑ = σ(τ).
    trained_thresholds : whether τ has a gradient.
    backend : "auto", "reference", "torch", "numba" or "triton"; `backend_used` says which ran.

    Attributes
    ----------
    weight_ih_l{k} [3H, I or H], weight_hh_l{k} [3H, H], bias_l{k} [3H] : parameters of layer k,
        rows in blocks update, reset, candidate; variant evnn has ``bias_hh_l{k}`` [3H] too.
    threshold_logit_l{k} [H] : τ.
    activity : counts events while it is not None.
    """

    # Of the first layer; there are as many of each as there are layers.
    weight_ih_l0: nn.Parameter
    weight_hh_l0: nn.Parameter
    bias_l0: nn.Parameter
    bias_hh_l0: nn.Parameter  # variant evnn only
    threshold_logit_l0: nn.Parameter

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        variant: str = "paper",
        dropconnect: float = 0.0,
        pseudo_derivative_width: float = 0.5,
        pseudo_derivative_height: float = 1.0,
        threshold_mean: float = -3.5,
        trained_thresholds: bool = True,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        for name, size in {
            "input_size": input_size,
            "hidden_size": hidden_size,
            "num_layers": num_layers,
        }.items():
            if size < 1:
                raise InputError(f"{name} is {size}; give at least 1")
        if variant not in VARIANTS:
            raise InputError(f"variant {variant!r}: choose one of {', '.join(VARIANTS)}")
        if not 0 <= dropconnect < 1:
            raise InputError(f"dropconnect is {dropconnect}; give a share from 0 to below 1")
        if not pseudo_derivative_width > 0:
            raise InputError(
                f"pseudo_derivative_width is {pseudo_derivative_width}; give more than 0"
            )
        if backend != "auto" and backend not in selection.NAMES:
            raise InputError(
                f"backend {backend!r}: choose one of auto, {', '.join(selection.NAMES)}"
            )
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.variant = variant
        self.dropconnect = dropconnect
        self.pseudo_derivative_width = pseudo_derivative_width
        self.pseudo_derivative_height = pseudo_derivative_height
        self.threshold_mean = threshold_mean
        self.trained_thresholds = trained_thresholds
        self.backend = backend
        self.backend_used: str | None = None
        self.activity: ActivityCounter | None = None
        rows = 3 * hidden_size
        for layer in range(num_layers):
            inputs = hidden_size if layer else input_size
            self._add(f"weight_ih_l{layer}", rows, inputs)
            self._add(f"weight_hh_l{layer}", rows, hidden_size)
            self._add(f"bias_l{layer}", rows)
            if variant == "evnn":
                self._add(f"bias_hh_l{layer}", rows)
            self._add(f"threshold_logit_l{layer}", hidden_size)
            self._of(layer, "threshold_logit").requires_grad_(trained_thresholds)
        self.reset_parameters()

    def _add(self, name: str, *shape: int) -> None:
        self.register_parameter(name, nn.Parameter(torch.empty(*shape)))

    def _of(self, layer: int, name: str) -> nn.Parameter:
        return getattr(self, f"{name}_l{layer}")

    def reset_parameters(self) -> None:
        """Draw weights (Glorot's normal) and thresholds (τ ~ N(μ, √2)) anew; biases are 0."""
        for layer in range(self.num_layers):
            nn.init.xavier_normal_(self._of(layer, "weight_ih"))
            nn.init.xavier_normal_(self._of(layer, "weight_hh"))
            nn.init.zeros_(self._of(layer, "bias"))
            if self.variant == "evnn":
                nn.init.zeros_(self._of(layer, "bias_hh"))
            nn.init.normal_(self._of(layer, "threshold_logit"), self.threshold_mean, math.sqrt(2.0))

    def thresholds(self, layer: int) -> Tensor:
        """ϑ = σ(τ) of a layer, [H]."""
        return torch.sigmoid(self._of(layer, "threshold_logit"))

    def initial_state(self, batch: int, *, like: Tensor) -> EGRUState:
        """The zero state for ``batch`` sequences, of the type and on the device of ``like``."""
        shape = (self.num_layers, batch, self.hidden_size)
        return EGRUState(like.new_zeros(shape), like.new_zeros(shape))

    def forward(self, x: Tensor, state: EGRUState | None = None) -> tuple[Tensor, EGRUState]:
        """Run a chunk.

        Parameters
        ----------
        x : [T, B, I].
        state : as the chunk before returned it; by default zeros.

        Returns
        -------
        (values emitted by the last layer [T, B, H], state after the chunk).

        Raises
        ------
        InputError
            for a shape or type that does not fit, and for a backend that the device does not have.
        """
        if x.ndim != 3 or x.shape[2] != self.input_size or not x.shape[0]:
            raise InputError(
                f"input of shape {tuple(x.shape)}; EGRU takes [time, batch, {self.input_size}] "
                "with at least one time step"
            )
        own = self.weight_hh_l0.dtype
        if x.dtype != own and not torch.is_autocast_enabled(x.device.type):
            raise InputError(f"input is of {x.dtype} and EGRU of {own}; convert one of them")
        state = self._checked(state, x)
        name = selection.choose(self.backend, x.device, own)
        run, used = selection.runner(name, x.device)
        constants = Constants(
            self.variant, self.pseudo_derivative_width, self.pseudo_derivative_height
        )
        c_last, y_last = [], []
        values = x
        for layer in range(self.num_layers):
            thresholds = self.thresholds(layer)
            values, c, cells = run(
                constants,
                values,
                self._of(layer, "weight_ih"),
                functional.dropout(self._of(layer, "weight_hh"), self.dropconnect, self.training),
                self._of(layer, "bias"),
                self._of(layer, "bias_hh") if self.variant == "evnn" else None,
                thresholds,
                state.c[layer],
                state.y[layer],
                self.activity is not None,
            )
            if self.activity is not None:
                assert cells is not None, "asked for"
                with torch.no_grad():
                    self.activity.add(
                        layer, values, cells, thresholds, self.pseudo_derivative_width
                    )
            c_last.append(c)
            y_last.append(values[-1])
        self.backend_used = used()
        return values, EGRUState(torch.stack(c_last), torch.stack(y_last))

    def step(self, x: Tensor, state: EGRUState | None = None) -> tuple[Tensor, EGRUState]:
        """One time step: x [B, I] to (y [B, H], state). As `forward` with T = 1."""
        y, state = self(x[None], state)
        return y[0], state

    def _checked(self, state: EGRUState | None, x: Tensor) -> EGRUState:
        if state is None:
            return self.initial_state(x.shape[1], like=self.weight_hh_l0)
        shape = (self.num_layers, x.shape[1], self.hidden_size)
        for name, values in zip(("c", "y"), state, strict=True):
            if tuple(values.shape) != shape:
                raise InputError(
                    f"state.{name} has shape {tuple(values.shape)}; [layers, batch, hidden] is "
                    f"{list(shape)} here"
                )
        return state

    def extra_repr(self) -> str:
        """Sizes and variant, for print."""
        return (
            f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, "
            f"variant={self.variant!r}, dropconnect={self.dropconnect}, backend={self.backend!r}"
        )
