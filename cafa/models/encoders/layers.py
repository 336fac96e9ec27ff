"""Two transformer parts that several judges share."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class FeedForward(nn.Module):
    """Linear, GELU (exact), Linear, under the names ``fc1`` and ``fc2``."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map ``(..., width)`` to the same shape."""
        return self.fc2(functional.gelu(self.fc1(tokens)))


class ClsPooling(nn.Module):
    """One pre-norm transformer layer with a learned query, as in Synchformer.

    The layer reads all tokens but only its own CLS token leaves it, so only that row is computed: the
    attention has one query and the feed-forward part sees one token.
    """

    def __init__(self, width: int, heads: int, hidden: int):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.self_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Pool ``(groups, tokens, width)`` to ``(groups, width)``."""
        cls = self.cls_token.expand(len(tokens), -1, -1)
        context = self.norm1(torch.cat((cls, tokens), dim=1))
        cls = cls + self.self_attn(context[:, :1], context, context, need_weights=False)[0]
        cls = cls + self.linear2(functional.gelu(self.linear1(self.norm2(cls))))
        return cls[:, 0]
