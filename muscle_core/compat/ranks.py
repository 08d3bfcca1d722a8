"""The processes of one training, and what they tell one another; a training in one process says nothing to anybody.

Whoever starts several (see `ray_train`) connects them through torch.distributed before the training begins.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist


def count() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def is_first() -> bool:
    """Whether this one reports and saves for all."""
    return count() == 1 or dist.get_rank() == 0


def sums(values: Sequence[float]) -> list[float]:
    """Sums over all processes, the same in each."""
    if count() == 1:
        return list(values)
    total = torch.tensor(values, dtype=torch.float64, device=_device())
    dist.all_reduce(total)
    return [float(value) for value in total]


def as_first_says(value: bool) -> bool:
    """What the first process says; it is waited for."""
    if count() == 1:
        return value
    word = torch.tensor(int(value), device=_device())
    dist.broadcast(word, 0)
    return bool(word)


def wait_for_all() -> None:
    """Go on when all processes have come here."""
    if count() > 1:
        dist.all_reduce(torch.zeros(1, device=_device()))


def _device() -> torch.device:
    """Where the connection takes its tensors from."""
    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
