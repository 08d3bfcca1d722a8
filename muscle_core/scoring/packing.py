"""Packed passes: many samples in one row without padding; the answers to a prompt share its tokens.

One sample is a tree: its prompt, and a branch for each answer that starts again at the position after the prompt. The
first token of every answer is read at the prompt's last token, and the last token of an answer predicts nothing that is
asked for, so it is not computed at all. Several trees stand one after the other in a pass; a layout says which tokens
see which.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch


class PromptGroup(NamedTuple):
    """Token ids of a prompt and of the answers to it; none of them empty."""

    prompt: list[int]
    answers: list[list[int]]

    @property
    def packed_length(self) -> int:
        """Tokens that a pass spends on this group."""
        return len(self.prompt) + sum(len(answer) - 1 for answer in self.answers)


class Layout(NamedTuple):
    """Which tokens of a pass see which.

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
    prefix: list[tuple[torch.Tensor, torch.Tensor]]


class Pass(NamedTuple):
    """One forward pass over several trees.

    Attributes:
        groups: numbers of the groups, in the order of their trees.
        input_ids: [1, tokens].
        position_ids: [1, tokens]; branches restart after their prompt.
        layout: see `Layout`.
        read: [positions] tokens at which some answer token is predicted, ascending, each once.
        source: [answer tokens] for each answer token the index into `read` where it is predicted.
        target: [answer tokens] ids of the answer tokens: group by group, answer by answer.
    """

    groups: list[int]
    input_ids: torch.Tensor
    position_ids: torch.Tensor
    layout: Layout
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


def plan_passes(groups: Sequence[PromptGroup], prefix: int, budget: int) -> list[list[int]]:
    """Numbers of the groups of each pass: longest first, within a budget of tokens; a longer group goes alone."""
    passes: list[list[int]] = []
    room = 0
    for index in sorted(range(len(groups)), key=lambda i: (-groups[i].packed_length, i)):
        length = groups[index].packed_length - prefix
        if length > room:
            passes.append([])
            room = budget
        passes[-1].append(index)
        room -= length
    return passes


def build_pass(
    groups: Sequence[PromptGroup], chosen: list[int], prefix: Sequence[tuple[torch.Tensor, torch.Tensor]] = ()
) -> Pass:
    """Lay out the trees of one pass.

    Args:
        groups: all groups.
        chosen: numbers of the groups in this pass.
        prefix: keys and values of the tokens that all prompts begin with; those tokens are left out of the trees.
    """
    skipped = prefix[0][0].shape[2] if prefix else 0
    tokens: list[int] = []
    positions: list[int] = []
    source: list[int] = []
    target: list[int] = []
    branches: list[torch.Tensor] = []
    for index in chosen:
        prompt, answers = groups[index]
        start = len(tokens)
        tokens += prompt[skipped:]
        positions += range(skipped, len(prompt))
        last_of_prompt = len(tokens) - 1
        branch = [0] * (len(tokens) - start)
        for number, answer in enumerate(answers, 1):
            source.append(last_of_prompt)
            source += range(len(tokens), len(tokens) + len(answer) - 1)
            target += answer
            tokens += answer[:-1]
            positions += range(len(prompt), len(prompt) + len(answer) - 1)
            branch += [number] * (len(answer) - 1)
        branches.append(torch.tensor(branch))
    read, where = torch.unique(torch.tensor(source), return_inverse=True)
    return Pass(
        groups=list(chosen),
        input_ids=torch.tensor([tokens]),
        position_ids=torch.tensor([positions]),
        layout=_layout(branches, skipped)._replace(prefix=list(prefix)),
        read=read,
        source=where,
        target=torch.tensor(target),
    )


def _layout(branches: Sequence[torch.Tensor], prefix: int) -> Layout:
    """Layout of trees given as the branch number of each token, 0 for the prompt."""
    lengths = torch.tensor([len(branch) for branch in branches])
    width = int(lengths.max())
    taken = torch.arange(width) < lengths[:, None]
    starts = lengths.cumsum(0) - lengths
    slots = torch.where(taken, starts[:, None] + torch.arange(width), 0)
    number = torch.nn.utils.rnn.pad_sequence(list(branches), batch_first=True, padding_value=-1)
    same = (number[:, :, None] == number[:, None, :]) | (number[:, None, :] == 0)
    own = same & torch.ones(width, width, dtype=torch.bool).tril()
    # An empty slot is never read, but a softmax over nothing is NaN: it sees the first token.
    own[:, :, 0] = True
    visible = torch.nn.functional.pad(own, (prefix, 0), value=True)
    return Layout(slots, taken, visible[:, None], [])
