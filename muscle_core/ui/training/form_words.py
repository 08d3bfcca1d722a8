"""Texts of the form that starts a training. Texts from data come in safe."""

from __future__ import annotations

from muscle_core.compat.config import CompatConfig

PRESET = "Preset"
PRESET_HELP = "Fills the options below; every option can still be changed."
STRATEGY = "Strategy"
STRATEGY_HELP = "Which teacher each answer token follows."
START_FROM = "Start from"
START_FROM_HELP = (
    "Weights that the adapter starts with. The paper starts from the old version's adapter, which needs equal shapes."
)
STEPS, STEPS_HELP = "Steps", "Optimizer steps."
SEED, SEED_HELP = "Seed", "Same seed, same result on this machine."
MORE = "More options"
ADVANCED = "Advanced"
RATE, RATE_HELP = "Learning rate", "Peak rate of AdamW."
BATCH, BATCH_HELP = "Batch size", "Samples a pass."
ACCUMULATION, ACCUMULATION_HELP = "Gradient accumulation", "Passes an optimizer step."
WARMUP = "Warm-up steps"
SCHEDULE = "Schedule"
TEMPERATURE, TEMPERATURE_HELP = "Temperature", "Divides all logits."
LOSS = "**Loss**"
STOPPING = "**Early stopping**"
LENGTH = "**Length and memory**"
KEPT = "**Kept on disk**"
GOLD_WEIGHT = "Cross-entropy weight"
GOLD_WEIGHT_HELP = (
    "Weight of the cross-entropy on the gold tokens, added to the divergence from the teachers; 0 for none. The "
    "strategies cross_entropy and focal_distillation have a term of their own."
)
FOCAL_ALPHA = "Focal alpha"
FOCAL_ALPHA_HELP = "Only focal_distillation: weight of the old teacher for every token."
FOCAL_BETA = "Focal beta"
FOCAL_BETA_HELP = "Only focal_distillation: added to alpha where the old version's most likely token is the gold one."
LONGEST, LONGEST_HELP = (
    "Longest sample, tokens",
    "Prompt and answer together. A longer sample is refused, or cut.",
)
CUT = "Cut longer samples"
CUT_HELP = (
    "The prompt from its beginning, and if need be the answer from its end. Otherwise the training is refused where "
    "one is longer."
)
CHECKPOINTING = "Gradient checkpointing"
CHECKPOINTING_HELP = "Computes activations twice instead of keeping them: less memory, more time, same result."
STORE = "Ask the teachers once"
STORE_HELP = (
    "Keeps what the teachers say about the training samples in the workspace (folder teachers), shared by all "
    "trainings on these samples. Otherwise both teachers are loaded and asked in every step."
)
STORE_SIZE, STORE_SIZE_HELP = "Most disk a teacher, GiB", "A training whose teacher would need more is refused."
CHECKPOINTS = "Steps between checkpoints"
CHECKPOINTS_HELP = "A cancelled or killed training is resumed from the last one; 0 for none but that of a cancellation."
LOOKS = "Steps between looks"
LOOKS_HELP = (
    "Steps between two looks at the validation split; 0 for no early stopping. Of all looks the adapter with the "
    "lowest NFR is kept, among those that are accurate enough."
)
MARGIN = "Accuracy margin, points"
MARGIN_HELP = (
    "Accurate enough is what lies at most so many percentage points below the new version on the validation split "
    "(mean score times 100 where answers are neither right nor wrong)."
)
PATIENCE, PATIENCE_HELP = "Patience, looks", "Training ends after so many looks without a better adapter."
TRAIN_SPLIT = "Train on split"
FROM_SCRATCH = "The version that this preset starts from has no adapter, so that it starts from a fresh one."
NO_VALIDATION = "This preset stops early by a split named validation, which this dataset lacks: it runs on."

_STARTS = {"old": "old version's adapter", "new": "new version's adapter", "scratch": "a fresh adapter"}
_PRESETS = {
    "quick": "To see that everything works. Do not judge the method by it.",
    "paper": "Starts from the old version's adapter, as the paper has it.",
    "thorough": "Four times as many steps as paper; looks at the validation split and keeps the best adapter.",
    "scratch": "Starts from a fresh adapter.",
    "demo": "Tuned on the demo's data; starts from the new version's adapter, which did better there.",
}


def intro(old: str, new: str, dataset: str) -> str:
    """What the page is for; names are safe."""
    return (
        f"Train a compatibility adapter for the update {old} → {new} on {dataset}. It runs in the background; this "
        "page may be closed."
    )


def preset_meaning(name: str) -> str:
    """What a preset is for."""
    return _PRESETS.get(name, "")


def preset_says(name: str, config: CompatConfig) -> str:
    """Size of a preset and what it is for."""
    samples = config.batch_size * config.gradient_accumulation
    return f"{config.steps:,} steps of {samples:,} samples. {preset_meaning(name)}"


def strategy_meaning(strategy: str, meaning: str) -> str:
    """What a strategy does; texts are safe."""
    return f"{strategy}: {meaning}."


def choice(name: str) -> str:
    """An entry of a list."""
    return _STARTS.get(name, name)


def folded(title: str, differing: int) -> str:
    """Title of folded options, with how many are not those of the preset."""
    if not differing:
        return title
    return f"{title} · {differing} differ{'s' if differing == 1 else ''} from the preset"


def unusable(label: str, text: str) -> str:
    """A value of the address that the form cannot hold; the text is safe."""
    return f"{label} “{text}”"


def ignored(texts: list[str]) -> str:
    """Values of the address that were left out."""
    return f"The address asks for what this form cannot hold, and the usual value stands there: {', '.join(texts)}."


def split_option(name: str, rows: int) -> str:
    """An entry of the list of splits."""
    return f"{name} ({rows:,} samples)"


def no_weights(name: str) -> str:
    """Why nothing can be trained; the name is safe."""
    return (
        f"{name} has no weights of its own, so nothing can be trained for this pair. Choose two versions with weights "
        "in the sidebar."
    )


def lacks_validation(split: str, dataset: str) -> str:
    """Why early stopping is off; names are safe."""
    return f"Needs a split named {split}, which {dataset} does not have."
