"""Let several loops that cannot be paused take turns: each in a thread of its own, one step at a time."""

from __future__ import annotations

import gc
import random
import threading
import time
from collections.abc import Callable

import torch

Loop = Callable[[Callable[[float], None]], object]  # calls its argument with the loss after every step


class _Turn:
    """One loop. Only while it has the turn does its thread run."""

    def __init__(self, name: str, loop: Loop, threads: int) -> None:
        self.losses: list[float] = []
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(loop, threads), name=name, daemon=True)
        self._thread.start()

    def take(self) -> tuple[float, float]:
        """One step (the last turn: the loop's end); returns its wall time and processor time in seconds."""
        started, used = time.perf_counter(), time.process_time()
        self._go.release()
        self._done.acquire()
        taken = time.perf_counter() - started, time.process_time() - used
        if self._failure is not None:
            raise RuntimeError(f"{self._thread.name} failed") from self._failure
        return taken

    def _run(self, loop: Loop, threads: int) -> None:
        self._go.acquire()
        try:
            torch.set_num_threads(threads)
            loop(self._report)
        except BaseException as error:
            self._failure = error
        finally:
            self._done.release()

    def _report(self, loss: float) -> None:
        self.losses.append(loss)
        self._done.release()
        self._go.acquire()


def interleave(
    loops: dict[str, Loop], steps: int, threads: int, seed: int, tell: Callable[[str], None]
) -> dict[str, dict[str, list[float]]]:
    """Run loops of `steps` steps side by side, each step in shuffled order.

    Args:
        loops: by name.
        steps: steps of each loop.
        threads: threads of torch.
        seed: of the order.
        tell: called with a line after every step.

    Returns:
        By name the `seconds` and `processor_seconds` of each step but the first, which loads and warms up, and the
        `losses` of all steps.
    """
    turns = {name: _Turn(name, loop, threads) for name, loop in loops.items()}
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    processor_seconds: dict[str, list[float]] = {name: [] for name in loops}
    generator = random.Random(seed)
    for step in range(steps):
        for name in generator.sample(list(loops), len(loops)):
            gc.collect()
            taken, used = turns[name].take()
            if step:
                seconds[name].append(taken)
                processor_seconds[name].append(used)
            place = f"step {step + 1}/{steps} {name}"
            tell(f"{place}: {taken:.2f} s, processor {used:.2f} s{'' if step else ' with loading'}")
    for turn in turns.values():
        turn.take()
    return {
        "seconds": seconds,
        "processor_seconds": processor_seconds,
        "losses": {name: turn.losses for name, turn in turns.items()},
    }
