"""Greedy generation: rows that are done leave their place to the next prompt; cut at the task's stop strings.

The loop is our own where the architecture takes it (measured on a probe), because transformers' `generate` carries
finished rows along until the last one of a batch is done, and copies all keys and values at every step.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from transformers import GenerationConfig, PreTrainedTokenizerBase, StoppingCriteria, StoppingCriteriaList

from muscle_core.scoring.cached_attention import NAME, KeyValueStore
from muscle_core.scoring.loglikelihood import length_sorted_batches
from muscle_core.scoring.packed_attention import attention
from muscle_core.scoring.probe import NotPackableError, device_of, plain_model, why_not

BATCH_TOKENS = 8192  # tokens of all rows in work, prompts and answers at their longest


class Generated(NamedTuple):
    """One generated text and why it ended: "stop" (EOS or a stop string) or "length"."""

    text: str
    finish_reason: str


class StopRules:
    """When an answer is over, and what of it counts.

    Attributes:
        ends: token ids that end an answer.
        max_new_tokens: most tokens an answer may have.
        stop: an answer ends before the first of these texts.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, ends: Sequence[int], max_new_tokens: int, stop: Sequence[str]
    ) -> None:
        self.tokenizer, self.ends, self.max_new_tokens, self.stop = tokenizer, list(ends), max_new_tokens, tuple(stop)
        # A token is at least a byte, so a stop string ends within this many tokens.
        self._reach = max((len(mark.encode()) for mark in self.stop), default=0) + 1

    def is_over(self, new: list[int]) -> bool:
        """Whether an answer ends with the newest of its tokens."""
        return new[-1] in self.ends or len(new) == self.max_new_tokens or self.holds_stop(new)

    def holds_stop(self, new: list[int]) -> bool:
        """Whether the newest tokens of an answer hold a stop string."""
        if not self.stop:
            return False
        text = self.tokenizer.decode(new[-self._reach :], skip_special_tokens=True)
        return any(mark in text for mark in self.stop)

    def finish(self, new: list[int]) -> Generated:
        """The text of an answer's tokens, without the stop string and without outer white space."""
        first = next((position for position, token in enumerate(new) if token in self.ends), None)
        ended = first is not None
        text = str(self.tokenizer.decode(new[:first], skip_special_tokens=True))
        cuts = [position for position in (text.find(mark) for mark in self.stop) if position >= 0]
        if cuts:
            text, ended = text[: min(cuts)], True
        return Generated(text.strip(), "stop" if ended else "length")


class _Row(NamedTuple):
    """A prompt in work and the tokens that it has got so far."""

    prompt: list[int]
    new: list[int]


class GreedyGenerator:
    """Generates greedy answers with one model.

    Attributes:
        fallback_reason: why transformers' `generate` is used instead of the own loop; None where it is not.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_new_tokens: int,
        stop: Sequence[str] = (),
        batch_tokens: int = BATCH_TOKENS,
        batch_rows: int | None = None,
    ) -> None:
        """Probe the model.

        Args:
            model: a causal language model in evaluation mode.
            tokenizer: its tokenizer.
            max_new_tokens: most tokens an answer may have.
            stop: an answer ends before the first of these.
            batch_tokens: tokens that the rows in work may have together.
            batch_rows: most rows in work, where that is fewer.
        """
        self.model = model
        self.plain = plain_model(model)
        self.tokenizer = tokenizer
        self.max_new_tokens = max_new_tokens
        self.batch_tokens = batch_tokens
        self.batch_rows = batch_rows
        self.rules = StopRules(tokenizer, end_ids(tokenizer, self.plain.generation_config), max_new_tokens, stop)
        self.fallback_reason = why_not(self._probe)

    def generate(self, prompts: Sequence[list[int]]) -> list[Generated]:
        """Generate one answer to each prompt.

        Args:
            prompts: token ids, none empty.

        Returns:
            One text a prompt, in the order given, without the stop string and without outer white space.
        """
        if not prompts:
            return []
        return [self.rules.finish(ids) for ids in self._new_tokens(prompts)]

    def _new_tokens(self, prompts: Sequence[list[int]]) -> list[list[int]]:
        if self.fallback_reason is None:
            try:
                return self._own_loop(prompts)
            except NotPackableError:
                # A window that the probe was too short for; shorter prompts go through the own loop again, so that the
                # answers to a list of prompts depend on that list alone.
                pass
        return self._transformers(prompts)

    @torch.inference_mode()
    def _own_loop(self, prompts: Sequence[list[int]]) -> list[list[int]]:
        """New token ids of every prompt."""
        waiting = deque(sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i)))
        fitting = max(1, self.batch_tokens // (len(prompts[waiting[0]]) + self.max_new_tokens))
        places = min(fitting, self.batch_rows or fitting)
        store = KeyValueStore(device_of(self.model))
        results: list[list[int]] = [[] for _ in prompts]
        rows: list[_Row] = []
        kept: list[int] = []  # where the rows stand in the store
        with attention(self.plain, NAME):
            while rows or waiting:
                indices = [waiting.popleft() for _ in range(min(places - len(rows), len(waiting)))]
                if indices:
                    entering = [_Row(prompts[i], results[i]) for i in indices]
                    staying = self._extend(entering, self._pass_prompts(store, entering))
                    store.rearrange(kept, staying)
                    rows += [entering[i] for i in staying]
                elif len(kept) < len(store.start):
                    store.rearrange(kept)
                if rows:
                    kept = self._extend(rows, self._pass_step(store, rows))
                    rows = [rows[i] for i in kept]
                else:
                    kept = []
        return results

    def _pass_prompts(self, store: KeyValueStore, rows: Sequence[_Row]) -> torch.Tensor:
        """Logits [rows, vocabulary] after the prompts of rows that enter."""
        lengths = torch.tensor([len(row.prompt) for row in rows])
        width = int(lengths.max())
        input_ids = torch.tensor([[0] * (width - len(row.prompt)) + row.prompt for row in rows])
        positions = (torch.arange(width) - (width - lengths)[:, None]).clamp_min(0)
        store.begin_prompts(lengths.to(store.start.device), width)
        return self._forward(store, input_ids, positions)

    def _pass_step(self, store: KeyValueStore, rows: Sequence[_Row]) -> torch.Tensor:
        """Logits [rows, vocabulary] after the newest token of every row."""
        store.begin_step()
        input_ids = torch.tensor([[row.new[-1]] for row in rows])
        positions = torch.tensor([[len(row.prompt) + len(row.new) - 1] for row in rows])
        logits = self._forward(store, input_ids, positions)
        store.filled += 1
        return logits

    def _forward(self, store: KeyValueStore, input_ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        where = store.start.device
        output = self.model(
            input_ids=input_ids.to(where),
            position_ids=positions.to(where),
            use_cache=False,
            logits_to_keep=1,
            store=store,
        )
        return output.logits[:, -1]

    def _extend(self, rows: Sequence[_Row], logits: torch.Tensor) -> list[int]:
        """Give every row its next token; numbers of the rows that go on."""
        staying = []
        for number, (row, token) in enumerate(zip(rows, logits.argmax(-1).tolist(), strict=True)):
            row.new.append(token)
            if not self.rules.is_over(row.new):
                staying.append(number)
        return staying

    @torch.inference_mode()
    def _probe(self) -> float:
        """Largest difference of a logit between own loop and whole passes: two prompts, three given tokens each."""
        generator = random.Random(0)
        vocabulary = int(self.plain.config.get_text_config().vocab_size)
        rows = [_Row([generator.randrange(vocabulary) for _ in range(n)], []) for n in (9, 4)]
        store = KeyValueStore(device_of(self.model))
        with attention(self.plain, NAME):
            logits = self._pass_prompts(store, rows)
            store.rearrange([], [0, 1])
            for _ in range(3):
                for row in rows:
                    row.new.append(generator.randrange(vocabulary))
                logits = self._pass_step(store, rows)
        whole = torch.stack([self._whole_pass(row.prompt + row.new) for row in rows])
        return float((logits - whole).abs().max())

    def _whole_pass(self, tokens: list[int]) -> torch.Tensor:
        where = device_of(self.model)
        return self.model(input_ids=torch.tensor([tokens], device=where), use_cache=False).logits[0, -1]

    @torch.inference_mode()
    def _transformers(self, prompts: Sequence[list[int]]) -> list[list[int]]:
        """New token ids of every prompt by `generate`, in left-padded batches."""
        results: list[list[int]] = [[] for _ in prompts]
        lengths = [len(prompt) + self.max_new_tokens for prompt in prompts]
        for batch in length_sorted_batches(lengths, self.batch_tokens, self.batch_rows):
            for index, new in zip(batch, self._transformers_batch([prompts[i] for i in batch]), strict=True):
                results[index] = new
        return results

    def _transformers_batch(self, prompts: Sequence[list[int]]) -> list[list[int]]:
        width = max(len(ids) for ids in prompts)
        where = device_of(self.model)
        pad = self.tokenizer.pad_token_id
        input_ids = torch.tensor([[pad] * (width - len(ids)) + ids for ids in prompts], device=where)
        attention_mask = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts], device=where)
        config = GenerationConfig(
            max_new_tokens=self.max_new_tokens,
            do_sample=False,
            num_beams=1,
            pad_token_id=pad,
            eos_token_id=self.rules.ends,
        )
        # generate() fills what `config` leaves open from the vendor's own configuration: a repetition penalty, say.
        vendor, self.plain.generation_config = self.plain.generation_config, GenerationConfig()
        try:
            output = self.model.generate(
                input_ids=input_ids,
                attention_mask=attention_mask,
                generation_config=config,
                stopping_criteria=StoppingCriteriaList([_StopStrings(self.rules, width)] if self.rules.stop else []),
            )
        finally:
            self.plain.generation_config = vendor
        new: list[list[int]] = output[:, width:].tolist()
        return new


class _StopStrings(StoppingCriteria):
    """Ends a row when its new text holds a stop string.

    transformers' own `stop_strings` also match across the border to the prompt, which cuts answers short.
    """

    def __init__(self, rules: StopRules, width: int) -> None:
        self.rules, self.width = rules, width

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> Any:
        found = [self.rules.holds_stop(new) for new in input_ids[:, self.width :].tolist()]
        return torch.tensor(found, device=input_ids.device)


def end_ids(tokenizer: PreTrainedTokenizerBase, vendor: GenerationConfig) -> list[int]:
    """EOS of the tokenizer, and what else the vendor lets an answer end with (Llama 3 has three such tokens)."""
    named = vendor.eos_token_id
    others = named if isinstance(named, list) else [] if named is None else [named]
    return list(dict.fromkeys([tokenizer.eos_token_id, *others]))
