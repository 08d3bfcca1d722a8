"""Time our scorer against lm-evaluation-harness on the same model, rows and prompts; see docs/benchmarks.md.

Both sides run in one process on one loaded model, interleaved in shuffled order. Tokenising is timed, loading is not.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

from agreement import compare_choices, compare_texts
from figures import markdown, speed
from machine import ROOT, machine
from sets import SETS, EvalSet

_WARM_UP_ROWS = 2


def main() -> int:
    """Run the command line; 2 where the weights or the data are missing."""
    options = _options()
    for what, path in (("MUSCLE_SMOLLM2_GGUF", options.model), ("MUSCLE_REAL_DATA", options.data)):
        if path is None or not path.exists():
            print(f"{what} must name what docs/benchmarks.md says; got {path}", file=sys.stderr)
            return 2
    os.environ["HF_HUB_OFFLINE"] = "1"  # before the first import of transformers
    sys.path.insert(0, str(ROOT))
    import torch

    from muscle_core.models.load import load_model, load_tokenizer
    from muscle_core.models.spec import ModelSpec

    torch.set_num_threads(options.threads)
    spec = ModelSpec(base=str(options.model))
    result: dict[str, Any] = {
        "date": date.today().isoformat(),
        "machine": machine(),
        "model": options.model.name,
        "threads": options.threads,
        "repetitions": options.repetitions,
        "seed": options.seed,
        "rows": options.rows,
        "sets": [],
    }
    model, tokenizer = load_model(spec), load_tokenizer(spec)
    assert next(model.parameters()).dtype == torch.float32
    generator = random.Random(options.seed)
    for name in options.sets:
        rows = SETS[name](options.data).first(options.rows)
        result["sets"].append(measure(rows, model, tokenizer, options.repetitions, generator))
        _write(result, options.out)  # after every set: a run takes an hour
    print(markdown(result))
    print(f"written: {options.out} and {options.out.with_name('eval.md')}", file=sys.stderr)
    return 0


def measure(rows: EvalSet, model: Any, tokenizer: Any, repetitions: int, generator: random.Random) -> dict[str, Any]:
    """Time all sides of one set and compare their results.

    Args:
        rows: the set.
        model: loaded once, for all sides.
        tokenizer: its tokenizer.
        repetitions: times that every side runs.
        generator: shuffles the sides within each repetition.
    """
    from sides import answer_tokens, fallbacks, rows_with_other_tokens, sides_of

    for side in sides_of(rows.first(_WARM_UP_ROWS), model, tokenizer):
        side.prepare()()
    sides = sides_of(rows, model, tokenizer)
    seconds: dict[str, list[float]] = {side.name: [] for side in sides}
    results: dict[str, list[Any]] = {side.name: [] for side in sides}
    attention = model.config._attn_implementation
    for repetition in range(repetitions):
        for side in generator.sample(sides, len(sides)):
            run = side.prepare()
            gc.collect()
            started = time.perf_counter()
            found = run()
            seconds[side.name].append(time.perf_counter() - started)
            results[side.name].append(found)
            if model.config._attn_implementation != attention:
                raise RuntimeError(f"{side.name} left the model's attention as {model.config._attn_implementation}")
            place = f"{rows.name} {repetition + 1}/{repetitions}"
            print(f"{place} {side.name}: {seconds[side.name][-1]:.2f} s", file=sys.stderr)
    figures = speed(len(rows.prompts), seconds)
    lengths = [] if rows.generates else answer_tokens(rows, tokenizer)
    agreement: dict[str, Any] = {}
    for theirs in (side.name for side in sides if side.name.startswith("lm-eval")):
        if rows.generates:
            ours = theirs.replace("lm-eval", "ours")
            agreement[theirs] = compare_texts(results[ours][0], results[theirs][0])
        else:
            agreement[theirs] = compare_choices(results["ours"][0], results[theirs][0], lengths, rows.golds)
    return {
        "set": rows.name,
        "title": rows.title,
        "rows": len(rows.prompts),
        "generates": rows.generates,
        "target": rows.target,
        "speed": figures,
        "agreement": agreement,
        "same_in_all_repetitions": {name: all(one == found[0] for one in found) for name, found in results.items()},
        "rows_with_other_tokens": rows_with_other_tokens(rows, model, tokenizer),
        "fallback_reason": fallbacks(rows, model, tokenizer),
    }


def _write(result: dict[str, Any], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    out.with_name("eval.md").write_text(markdown(result), encoding="utf-8")


def _options() -> argparse.Namespace:
    def variable(name: str) -> Path | None:
        return Path(os.environ[name]) if os.environ.get(name) else None

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS), metavar="SET")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--rows", type=int, help="only the first rows of each set: a trial")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    parser.add_argument("--seed", type=int, default=0, help="of the order of the sides")
    parser.add_argument("--model", type=Path, default=variable("MUSCLE_SMOLLM2_GGUF"), help="$MUSCLE_SMOLLM2_GGUF")
    parser.add_argument("--data", type=Path, default=variable("MUSCLE_REAL_DATA"), help="$MUSCLE_REAL_DATA")
    parser.add_argument("--out", type=Path, help="JSON, by default in benchmarks/results; eval.md is written beside it")
    options = parser.parse_args()
    if options.out is None:  # a trial does not take the place of a measurement
        name = f"eval-{date.today().isoformat()}.json"
        options.out = ROOT / ("benchmarks/results" if options.rows is None else "build") / name
    return options


if __name__ == "__main__":
    sys.exit(main())
