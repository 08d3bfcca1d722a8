"""Packed passes: many samples in one row without padding; the answers to a prompt share what they begin with.

One sample is a tree: its prompt, and the answers as branches that start at the position after it. Answers that begin
alike share those tokens too. The first token of every answer is read at the prompt's last token, and the last token of
an answer predicts nothing that is asked for, so it is not computed at all. Several trees stand one after the other in a
pass; a layout says which tokens see which.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

KeysAndValues = tuple[torch.Tensor, torch.Tensor]  # of one attention layer, [rows, key heads, tokens, head size]


class PromptGroup(NamedTuple):
    """Token ids of a prompt and of the answers to it; none of them empty."""

    prompt: list[int]
    answers: list[list[int]]


class Tree(NamedTuple):
    """The tokens of one group that a pass computes, each after its parent.

    Attributes:
        tokens: token ids; the prompt comes first.
        positions: of each token in the text that leads to it.
        parents: for each token the number of the one before it in its text; -1 for the first.
        source: for each answer token the number of the token that predicts it: answer by answer.
        target: for each answer token its id.
    """

    tokens: list[int]
    positions: list[int]
    parents: list[int]
    source: list[int]
    target: list[int]


class Layout(NamedTuple):
    """Which tokens of a pass see which, for trees of any form.

    Attributes:
        slots: [trees, width] for each tree the numbers of its tokens in the pass; 0 where it is shorter.
        taken: [trees, width] whether a slot holds a token. In row order these are the tokens of the pass.
        visible: [trees, 1, width, prefix + width] whether a token (row) sees another (column) of its tree.
        prefix: for each layer, keys and values of a prefix that all tokens see, [1, key heads, prefix, head size];
            empty without one.
    """

    slots: torch.Tensor
    taken: torch.Tensor
    visible: torch.Tensor
    prefix: list[KeysAndValues]

    @property
    def reach(self) -> int:
        """Tokens that the last token of the longest tree may see."""
        return int(self.visible.shape[-1])

    def to(self, device: torch.device) -> Layout:
        """The layout on another device; the prefix is there already."""
        return Layout(self.slots.to(device), self.taken.to(device), self.visible.to(device), self.prefix)


class Lines(NamedTuple):
    """The layout of trees with one answer each and no prefix: a token sees all tokens of its tree before it.

    Attributes:
        lengths: tokens of each tree.
    """

    lengths: list[int]

    @property
    def reach(self) -> int:
        """Tokens that the last token of the longest tree may see."""
        return max(self.lengths)

    def to(self, device: torch.device) -> Lines:
        """Itself; there is nothing on a device."""
        return self


class Pass(NamedTuple):
    """One forward pass over several trees.

    Attributes:
        input_ids: [1, tokens].
        position_ids: [1, tokens].
        layout: see `Layout` and `Lines`.
        read: [positions] tokens at which some answer token is predicted, ascending, each once.
        source: [answer tokens] for each answer token the index into `read` where it is predicted.
        target: [answer tokens] ids of the answer tokens: tree by tree, answer by answer.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    layout: Layout | Lines
    read: torch.Tensor
    source: torch.Tensor
    target: torch.Tensor


def common_prefix(groups: Sequence[PromptGroup]) -> int:
    """Number of tokens that all prompts begin with; at least one token of each prompt stays outside."""
    first = groups[0].prompt
    length = min(len(group.prompt) for group in groups) - 1
    for group in groups[1:]:
        if group.prompt[:length] != first[:length]:
            length = next(i for i in range(length) if group.prompt[i] != first[i])
    return max(length, 0)


def build_tree(group: PromptGroup, skipped: int = 0) -> Tree:
    """The tree of a group, without the first `skipped` tokens of its prompt."""
    tokens = group.prompt[skipped:]
    last_of_prompt = len(tokens) - 1
    positions = list(range(skipped, len(group.prompt)))
    parents = list(range(-1, last_of_prompt))
    source: list[int] = []
    target: list[int] = []
    branches: dict[tuple[int, int], int] = {}
    for answer in group.answers:
        node = last_of_prompt
        for place, token in enumerate(answer):
            source.append(node)
            target.append(token)
            if place == len(answer) - 1:
                break
            following = branches.setdefault((node, token), len(tokens))
            if following == len(tokens):
                tokens.append(token)
                positions.append(positions[node] + 1)
                parents.append(node)
            node = following
    return Tree(tokens, positions, parents, source, target)


def plan_passes(trees: Sequence[Tree], budget: int) -> list[list[int]]:
    """Numbers of the trees of each pass: longest first, within a budget of tokens; a longer tree goes alone."""
    passes: list[list[int]] = []
    room = 0
    for index in sorted(range(len(trees)), key=lambda i: (-len(trees[i].tokens), i)):
        length = len(trees[index].tokens)
        if length > room:
            passes.append([])
            room = budget
        passes[-1].append(index)
        room -= length
    return passes


def build_pass(trees: Sequence[Tree], chosen: list[int], prefix: Sequence[KeysAndValues] = ()) -> Pass:
    """Lay out the trees of one pass.

    Args:
        trees: all trees.
        chosen: numbers of the trees in this pass.
        prefix: keys and values of the tokens that all prompts begin with; those tokens are left out of the trees.
    """
    tokens: list[int] = []
    positions: list[int] = []
    source: list[int] = []
    target: list[int] = []
    for index in chosen:
        tree = trees[index]
        source += [len(tokens) + number for number in tree.source]
        tokens += tree.tokens
        positions += tree.positions
        target += tree.target
    read, where = torch.unique(torch.tensor(source), return_inverse=True)
    return Pass(
        input_ids=torch.tensor([tokens]),
        position_ids=torch.tensor([positions]),
        layout=_layout([trees[index] for index in chosen], prefix),
        read=read,
        source=where,
        target=torch.tensor(target),
    )


def _layout(trees: Sequence[Tree], prefix: Sequence[KeysAndValues]) -> Layout | Lines:
    if not prefix and all(tree.parents == list(range(-1, len(tree.tokens) - 1)) for tree in trees):
        return Lines([len(tree.tokens) for tree in trees])
    lengths = np.array([len(tree.tokens) for tree in trees])
    width = int(lengths.max())
    taken = np.arange(width) < lengths[:, None]
    starts = lengths.cumsum() - lengths
    slots = np.where(taken, starts[:, None] + np.arange(width), 0)
    own = np.zeros((len(trees), width, width), dtype=bool)
    for seen, tree in zip(own, trees, strict=True):
        for number, parent in enumerate(tree.parents):
            if parent >= 0:
                seen[number] = seen[parent]
            seen[number, number] = True
    # An empty slot is never read, but a softmax over nothing is NaN: it sees the first token, as all do.
    own[:, :, 0] = True
    skipped = prefix[0][0].shape[2] if prefix else 0
    visible = torch.nn.functional.pad(torch.from_numpy(own), (skipped, 0), value=True)
    return Layout(torch.from_numpy(slots), torch.from_numpy(taken), visible[:, None], list(prefix))
