import json

import pytest

from muscle_core.compat import INITIALISATIONS, STRATEGIES, CompatConfig, TaskConfig
from muscle_core.errors import ConfigError


def test_the_defaults_are_the_papers_choice():
    config = CompatConfig()
    assert (config.strategy, config.initialisation, config.temperature) == ("token_correctness", "old", 1.0)


def test_all_problems_are_reported_at_once():
    with pytest.raises(ConfigError) as caught:
        CompatConfig(steps=0, learning_rate=-1, schedule="wavy", strategy="best", initialisation="none", temperature=0)
    message = str(caught.value)
    assert "6 problems" in message
    for name in ("steps", "learning_rate", "schedule", "strategy", "initialisation", "temperature"):
        assert f"- {name} must be" in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("steps", 0), ("steps", 1.5), ("steps", "5"), ("steps", True), ("batch_size", 0)],
        *[("gradient_accumulation", 0), ("warmup_steps", -1), ("max_length", 1), ("seed", -1), ("seed", 2**32)],
        *[("learning_rate", 0), ("learning_rate", 1.1), ("learning_rate", float("nan")), ("learning_rate", "1e-3")],
        *[("weight_decay", -0.1), ("max_grad_norm", 0), ("lora_dropout", 0.95), ("lora_rank", 0), ("lora_alpha", 0)],
        *[("lora_modules", "q_proj"), ("lora_modules", ("q_proj", "")), ("lora_modules", (1,))],
        *[("schedule", {}), ("strategy", {}), ("initialisation", ["old"]), ("strategy", None)],
        *[("lora_modules", ()), ("schedule", "none"), ("strategy", ""), ("temperature", True)],
        *[("temperature", float("inf")), ("temperature", "1")],
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(name, value):
    with pytest.raises(ConfigError, match=name):
        CompatConfig(**{name: value})


@pytest.mark.parametrize("name", [*STRATEGIES])
def test_every_strategy_is_accepted(name):
    assert CompatConfig(strategy=name).strategy == name


@pytest.mark.parametrize("name", [*INITIALISATIONS])
def test_every_initialisation_is_accepted(name):
    assert CompatConfig(initialisation=name).initialisation == name


def test_an_unknown_option_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"unknown option 'step'; known: .*steps"):
        TaskConfig.from_dict({"step": 5})
    with pytest.raises(ConfigError, match="unknown option 'strategy'"):
        TaskConfig.from_dict({"strategy": "always_old"})


@pytest.mark.parametrize(
    "config",
    [
        TaskConfig(steps=7, lora_modules=("q_proj",), seed=3),
        CompatConfig(strategy="old_correct", initialisation="new", temperature=2.0, schedule="linear"),
    ],
)
def test_options_survive_their_json_form(config):
    assert type(config).from_dict(json.loads(json.dumps(config.as_dict()))) == config
