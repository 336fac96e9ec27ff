"""The encoder of T5, by the names that transformers gives its parameters.

Written here because transformers imports torch's compiler and its distributed tensors before it gives any network: more
seconds than many a job works. That outputs are those of transformers' ``T5EncoderModel`` to the last bit is tested.

Shapes: B batch, L tokens, D width of a state, H heads.
"""

from collections.abc import Mapping
from math import log, pi, sqrt
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from cafa.models.encoders.settings_file import PublishedSettings

#: the embeddings of tokens are stored under the first name, and sometimes under the second, too
SHARED, EMBEDDINGS = "shared.weight", "encoder.embed_tokens.weight"


class T5Settings(PublishedSettings):
    """Size of the encoder, by the names of the published ``config.json``; the defaults are those of its class."""

    network = "a T5 encoder"

    vocab_size: int = Field(32128, gt=0, description="tokens")
    d_model: int = Field(512, gt=0, description="width D of a state")
    d_kv: int = Field(64, gt=0, description="width of a head")
    d_ff: int = Field(2048, gt=0, description="width inside a feed-forward layer")
    num_layers: int = Field(6, gt=0, description="blocks")
    num_heads: int = Field(8, gt=0, description="heads")
    relative_attention_num_buckets: int = Field(32, ge=4, description="classes of distances")
    relative_attention_max_distance: int = Field(128, gt=0, description="distance from which all are one class")
    layer_norm_epsilon: float = Field(1e-6, gt=0, description="added to a variance")
    feed_forward_proj: Literal["relu", "gated-gelu"] = Field("relu", description="gated-gelu: T5 1.1 and FLAN-T5")

    @model_validator(mode="after")
    def _has_far_distances(self) -> Self:
        single = self.relative_attention_num_buckets // 4
        if self.relative_attention_max_distance <= single:
            raise ValueError(
                f"relative_attention_max_distance is {self.relative_attention_max_distance}; of "
                f"{self.relative_attention_num_buckets} classes {single} are single distances, it must be larger"
            )
        return self


class RootMeanSquareNorm(nn.Module):
    """States divided by their root mean square, scaled; in float32 whatever the type."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, L, D) from (B, L, D)."""
        variance = hidden.float().pow(2).mean(-1, keepdim=True)
        return self.weight * (hidden * torch.rsqrt(variance + self.epsilon)).to(self.weight.dtype)


class Attention(nn.Module):
    """Attention among tokens, with a bias by distance and without the usual scale.

    Parameters
    ----------
    settings : T5Settings
    with_bias : bool
        Whether it holds the biases; the first block's are those of all.
    """

    def __init__(self, settings: T5Settings, with_bias: bool) -> None:
        super().__init__()
        self.settings = settings
        inner = settings.num_heads * settings.d_kv
        self.q = nn.Linear(settings.d_model, inner, bias=False)
        self.k = nn.Linear(settings.d_model, inner, bias=False)
        self.v = nn.Linear(settings.d_model, inner, bias=False)
        self.o = nn.Linear(inner, settings.d_model, bias=False)
        if with_bias:
            self.relative_attention_bias = _embedding(settings.relative_attention_num_buckets, settings.num_heads)

    def bias(self, tokens: int) -> Tensor:
        """Added to the scores of every pair of tokens, (1, H, L, L)."""
        places = torch.arange(tokens, device=self.relative_attention_bias.weight.device)
        classes = distance_classes(
            places[None] - places[:, None],
            self.settings.relative_attention_num_buckets,
            self.settings.relative_attention_max_distance,
        )
        biases: Tensor = self.relative_attention_bias(classes)
        return biases.permute(2, 0, 1)[None]

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """(B, L, D) from (B, L, D) and biases (B or 1, H, L, L)."""
        query, key, value = (self._split(part(hidden)) for part in (self.q, self.k, self.v))
        taken = scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=1.0)
        out: Tensor = self.o(taken.transpose(1, 2).flatten(2))
        return out

    def _split(self, values: Tensor) -> Tensor:
        """(B, L, heads x width) as (B, heads, L, width)."""
        return values.unflatten(-1, (-1, self.settings.d_kv)).transpose(1, 2)


def _embedding(rows: int, width: int) -> nn.Embedding:
    # Its own way of drawing values imports torch's compiler where tensors have no values; weights are always loaded.
    return nn.Embedding.from_pretrained(torch.zeros(rows, width), freeze=False)


def distance_classes(distances: Tensor, classes: int, largest: int) -> Tensor:
    """Classes of distances between tokens: single ones while they are small, then in steps of equal ratio.

    Parameters
    ----------
    distances : Tensor of int
        Place of the token that is attended to, minus that of the one that attends.
    classes : int
        Half of them for distances above 0.
    largest : int
        Distances from here on are one class.
    """
    half = classes // 2
    single = half // 2
    later, distances = (distances > 0).long() * half, distances.abs()
    steps = torch.log(distances.float() / single) / log(largest / single) * (half - single)
    far = (single + steps.long()).clamp(max=half - 1)
    return later + torch.where(distances < single, distances, far)


class SelfAttentionLayer(nn.Module):
    """Norm, attention, and the shortcut beside them."""

    def __init__(self, settings: T5Settings, with_bias: bool) -> None:
        super().__init__()
        self.SelfAttention = Attention(settings, with_bias)
        self.layer_norm = RootMeanSquareNorm(settings.d_model, settings.layer_norm_epsilon)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """(B, L, D) from (B, L, D)."""
        added: Tensor = hidden + self.SelfAttention(self.layer_norm(hidden), bias)
        return added


class Rectified(nn.Module):
    """Two linear layers with a ReLU between them."""

    def __init__(self, settings: T5Settings) -> None:
        super().__init__()
        self.wi = nn.Linear(settings.d_model, settings.d_ff, bias=False)
        self.wo = nn.Linear(settings.d_ff, settings.d_model, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, L, D) from (B, L, D)."""
        out: Tensor = self.wo(nn.functional.relu(self.wi(hidden)))
        return out


class Gated(nn.Module):
    """A linear layer of the product of two others, one behind a GELU."""

    def __init__(self, settings: T5Settings) -> None:
        super().__init__()
        self.wi_0 = nn.Linear(settings.d_model, settings.d_ff, bias=False)
        self.wi_1 = nn.Linear(settings.d_model, settings.d_ff, bias=False)
        self.wo = nn.Linear(settings.d_ff, settings.d_model, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, L, D) from (B, L, D)."""
        out: Tensor = self.wo(tanh_gelu(self.wi_0(hidden)) * self.wi_1(hidden))
        return out


def tanh_gelu(values: Tensor) -> Tensor:
    """GELU by tanh, step by step as T5 was trained with it: torch's own rounds otherwise."""
    return 0.5 * values * (1.0 + torch.tanh(sqrt(2.0 / pi) * (values + 0.044715 * torch.pow(values, 3.0))))


class FeedForwardLayer(nn.Module):
    """Norm, feed-forward layer, and the shortcut beside them."""

    def __init__(self, settings: T5Settings) -> None:
        super().__init__()
        gated = settings.feed_forward_proj == "gated-gelu"
        self.DenseReluDense = Gated(settings) if gated else Rectified(settings)
        self.layer_norm = RootMeanSquareNorm(settings.d_model, settings.layer_norm_epsilon)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, L, D) from (B, L, D)."""
        added: Tensor = hidden + self.DenseReluDense(self.layer_norm(hidden))
        return added


class Block(nn.Module):
    """Attention and a feed-forward layer."""

    def __init__(self, settings: T5Settings, with_bias: bool) -> None:
        super().__init__()
        self.layer = nn.ModuleList([SelfAttentionLayer(settings, with_bias), FeedForwardLayer(settings)])

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """(B, L, D) from (B, L, D)."""
        out: Tensor = self.layer[1](self.layer[0](hidden, bias))
        return out


class Stack(nn.Module):
    """Embeddings of tokens, blocks and a norm."""

    def __init__(self, settings: T5Settings, embeddings: nn.Embedding) -> None:
        super().__init__()
        self.embed_tokens = embeddings
        self.block = nn.ModuleList(Block(settings, with_bias=index == 0) for index in range(settings.num_layers))
        self.final_layer_norm = RootMeanSquareNorm(settings.d_model, settings.layer_norm_epsilon)

    def _bias(self, tokens: int) -> Tensor:
        first: Block = self.block[0]  # type: ignore[assignment]  # a list of modules forgets which they are
        attention: SelfAttentionLayer = first.layer[0]  # type: ignore[assignment]
        return attention.SelfAttention.bias(tokens)

    def forward(self, ids: Tensor, present: Tensor) -> Tensor:
        """(B, L, D); see :class:`T5Encoder`."""
        hidden = self.embed_tokens(ids)
        bias = self._bias(ids.shape[1])
        if not present.all():
            bias = torch.where(present.bool()[:, None, None], bias, torch.finfo(bias.dtype).min)
        bias = bias.contiguous()
        for block in self.block:
            hidden = block(hidden, bias)
        out: Tensor = self.final_layer_norm(hidden)
        return out


class T5Encoder(nn.Module):
    """The encoder with its embeddings, which are a part under two names.

    Parameters
    ----------
    settings : T5Settings
    """

    def __init__(self, settings: T5Settings) -> None:
        super().__init__()
        self.settings = settings
        self.shared = _embedding(settings.vocab_size, settings.d_model)
        self.encoder = Stack(settings, self.shared)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.shared.weight.device

    def forward(self, ids: Tensor, present: Tensor) -> Tensor:
        """States (B, L, D).

        Parameters
        ----------
        ids : Tensor of int, (B, L)
        present : Tensor, (B, L)
            Not 0 for tokens that are attended to; at least one of each caption.
        """
        states: Tensor = self.encoder(ids, present)
        return states


def encoder_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of a published T5 that belong to its encoder, the embeddings under both of their names."""
    kept = {name: value for name, value in tensors.items() if name == SHARED or name.startswith("encoder.")}
    embeddings = kept.get(SHARED, kept.get(EMBEDDINGS))
    return kept if embeddings is None else {**kept, SHARED: embeddings, EMBEDDINGS: embeddings}
