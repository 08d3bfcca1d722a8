"""A real update, Llama-3-8B-Instruct to 3.1 on GSM8K, from the scores of its published outputs."""

from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import binomtest

from muscle_core.comparison import compare


@pytest.mark.real
def test_llama_3_to_3_1_on_gsm8k(real_data: Path) -> None:
    frame = pd.read_csv(real_data / "gsm8k_llama3_8b_to_3.1_8b" / "scores.csv", dtype="str")
    tables = [
        pd.DataFrame(
            {
                "sample_id": frame["id"],
                "prediction": frame[f"{which}_answer"],
                "correct": frame[f"{which}_correct"] == "1",
                "gold": frame["gold"],
            }
        )
        for which in ("old", "new")
    ]
    names = {"task_kind": "math", "old_name": "llama-3", "new_name": "llama-3.1"}
    result = compare(tables[0], tables[1].sample(frac=1, random_state=0), **names)
    assert (result.n, result.nfr.numerator, result.pfr.numerator) == (1319, 87, 160)
    assert round(result.accuracy_old.value * 100, 2) == 78.47
    assert round(result.accuracy_new.value * 100, 2) == 84.00
    assert round(result.nfr.value * 100, 2) == 6.60
    wilson = binomtest(87, 1319).proportion_ci(method="wilson")
    assert result.nfr[3:] == pytest.approx(tuple(wilson))
    assert result.mcnemar_p == pytest.approx(binomtest(87, 247).pvalue)
    # (160 - 87) / 1,319, with the normal interval of a paired difference.
    change = result.accuracy_change
    half = 1.959964 * ((247 - 73**2 / 1319) ** 0.5) / 1319
    assert (change.low, change.high) == pytest.approx((73 / 1319 - half, 73 / 1319 + half), abs=0.0015)
