"""The two networks that make prompts: from a text feature, and from fMRI.

Both are transformers over [input tokens; k learned constants]; the outputs at the constants are
the prompt. At the paper's size (k = 30, 8 layers, width 768) the mapping network has 38,608,640
parameters, the fMRI encoder for 836 voxels and 10 rows 38,472,104.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from hearsay.errors import InputError


class _Layer(nn.Module):
    """Pre-norm attention (no bias on query, key and value) and a ReLU MLP of twice the width."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.projection = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        shape = (batch, length, 3, self.heads, width // self.heads)
        q, k, v = self.query_key_value(self.attention_norm(x)).view(shape).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(q, k, v)
        x = x + self.projection(attended.transpose(1, 2).reshape(batch, length, width))
        return x + self.mlp(self.mlp_norm(x))


class _Constants(nn.Module):
    """The transformer over [tokens; constants]; tokens [B, T, width] -> prompt [B, k, width]."""

    def __init__(self, width: int, length: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise InputError(
                f"a language model of width {width} cannot have {heads} attention heads in the "
                "prompt's network: set recipe.heads to a divisor"
            )
        self.constants = nn.Parameter(torch.randn(length, width))
        self.layers = nn.ModuleList(_Layer(width, heads, dropout) for _ in range(layers))

    def forward(self, tokens: Tensor) -> Tensor:
        constants = self.constants.expand(len(tokens), -1, -1)
        x = torch.cat([tokens, constants.to(tokens.dtype)], dim=1)
        for layer in self.layers:
            x = layer(x)
        return x[:, -len(self.constants) :]


class PromptMapper(nn.Module):
    """Mapping network of stage 1: a text feature becomes a prompt.

    Parameters
    ----------
    feature_size : of the text feature (768 for BERT-base).
    width : of the language model's embeddings.
    prompt_length : k.
    latent : size that the feature is mapped to first (512 in the paper).
    layers, heads, dropout : of the transformer; dropout is in its MLPs.

    Shapes: feature [B, feature_size] -> prompt [B, k, width].
    Source: BP-GPT, section II-A2 and III-B.
    """

    def __init__(
        self,
        feature_size: int,
        width: int,
        prompt_length: int = 30,
        *,
        latent: int = 512,
        layers: int = 8,
        heads: int = 8,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.to_latent = nn.Linear(feature_size, latent)
        self.to_token = nn.Linear(latent, width)
        self.transformer = _Constants(width, prompt_length, layers, heads, dropout)

    def forward(self, feature: Tensor) -> Tensor:
        """Return the prompt [B, k, width] of features [B, feature_size]."""
        return self.transformer(self.to_token(self.to_latent(feature)).unsqueeze(1))


class FmriEncoder(nn.Module):
    """fMRI encoder of stage 2: rows of responses become a prompt (Eq. 1).

    Parameters
    ----------
    voxels : V.
    rows : W, plus the rows of context after the window.
    width, prompt_length, layers, heads, dropout : as in `PromptMapper`.

    Shapes: responses [B, rows, V] -> prompt [B, k, width]. A learned position in voxel space is
    added to the rows before the linear input layer.

    Raises ValueError for responses of another shape.
    """

    def __init__(
        self,
        voxels: int,
        rows: int,
        width: int,
        prompt_length: int = 30,
        *,
        layers: int = 8,
        heads: int = 8,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.position = nn.Parameter(0.02 * torch.randn(rows, voxels))
        self.to_token = nn.Linear(voxels, width)
        self.transformer = _Constants(width, prompt_length, layers, heads, dropout)

    def forward(self, responses: Tensor) -> Tensor:
        """Return the prompt [B, k, width] of responses [B, rows, V]."""
        if responses.shape[1:] != self.position.shape:
            raise ValueError(
                f"responses of shape {tuple(responses.shape[1:])} (rows, voxels), but this encoder "
                f"was made for {tuple(self.position.shape)}"
            )
        return self.transformer(self.to_token(responses + self.position))
