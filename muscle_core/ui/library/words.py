"""Texts of the Library page. What comes from data is made safe by the caller with `plain`."""

from __future__ import annotations

# Sections.
SECTION = "Section"


def sections(versions: int, datasets: int, runs: int, trainings: int) -> dict[str, str]:
    """Names of the sections with what is in them, by their key in the URL."""
    return {
        "versions": f"Model versions ({versions:,})",
        "datasets": f"Datasets ({datasets:,})",
        "runs": f"Evaluation runs ({runs:,})",
        "trainings": f"Training runs ({trainings:,})",
        "import": "Import",
        "disk": "Disk and deletion",
    }


def workspace_at(place: str) -> str:
    """Where the workspace is."""
    return f"Workspace {place}"


NONE_YET = "None yet."
RUN_ID, TRAINING_ID = "Id of the run", "Id of the training"
ADD_A_VERSION = "Add a model version"
ADD_A_DATASET = "Add a dataset"
VERSIONS_COUNTED, RUNS_COUNTED, TRAININGS_COUNTED = "model versions", "evaluation runs", "training runs"
ID_COLUMN, INPUT_COLUMN, CHOICES_COLUMN, GOLD_COLUMN = "id", "input", "choices", "right answer"

# Evaluation.
EVALUATE = "Evaluate"
EVALUATE_PURPOSE = "**Evaluate a version** in the background; finished evaluations are not repeated."
MODEL_VERSION = "Model version"
CHOOSE_VERSION = "choose a version"
TARGET = "Dataset and split"
CHOOSE_DATASET = "choose a dataset"
LIMIT = "Only the first samples"
LIMIT_HELP = "0 for all."
CHOOSE_BOTH = "Choose a version and a dataset first."

# Import.
IMPORT = "Import"
IMPORT_LATER = "Import in the background"
MOST_IMPORT_MIB = 1_000  # Streamlit holds an upload in memory
IMPORT_PURPOSE = (
    "**Import what models answered elsewhere.** The file is looked at first; nothing is written until you say so, and "
    "then all of it or nothing."
)
IMPORT_FILE = "File with the answers"
IMPORT_FILE_HELP = "JSONL, JSON, CSV, Parquet, or an Inspect log (.eval)."
IMPORT_FORMATS = (
    "Read are the samples files of lm-eval (written with --log\\_samples), logs of Inspect, files of LLM Comparator, "
    "tables with one row a sample, and tables with one column a model that hold 1 for right and 0 for wrong."
)
BY_COMMAND = "By command"
IMPORT_COMMAND = (
    "python -m muscle_core runs preview FILE\npython -m muscle_core runs import VERSION FILE --dataset DATASET"
)
READING = "Reading the file …"
READ_AS = "Read it as"
FORMAT_NAMES = {
    "auto": "what its content says",
    "generic": "a table with one row a sample",
    "lm-eval": "a samples file of lm-eval",
    "inspect": "a log of Inspect",
    "llm-comparator": "a file of LLM Comparator",
    "wide": "a table with one column a model",
}
FILTER = "Filter"
METRIC = "Metric that says right or wrong"
SCORER = "Scorer"
EPOCH = "Epoch"
ALL_EPOCHS = "each as a version of its own"
THRESHOLD = "Right from a value of"
THRESHOLD_HELP = "Only for metrics that are neither 0 nor 1."
ALLOW_PARTIAL = "Take it as it is, though it did not end well or rows are missing"
ALLOW_PARTIAL_HELP = "Otherwise such a file is refused."
RESULTS_FILE = "Results file of lm-eval (optional; the rows are set against it)"
CORRECT_FIELD = "Field that says right or wrong"
SCORE_FIELD = "Field with a score"
TEXTS_FILE = "Second file with the texts (optional; joined by the id)"
ANSWERS_FILE = "Second file with the answers (optional; without it a changed wrong answer cannot be seen)"
MAPPING = "**Which column holds what**"
COLUMNS = {
    "id": "Id of the sample",
    "prediction": "Answer",
    "correct": "Right or wrong",
    "output": "Generated text",
    "input": "Question",
    "gold": "Right answer",
    "choices": "Choices",
    "score": "Score",
}
COLUMN_HELP = {
    "id": "Without ids the samples are known by what was asked.",
    "prediction": "The extracted answer. Without it the generated text is judged.",
    "correct": "1 or 0, true or false. Without it the answer is compared with the right one.",
    "output": "All that the model wrote.",
    "input": "Needed to make the dataset from the file.",
    "gold": "Needed to make the dataset from the file.",
    "choices": "A list of texts, for questions with choices.",
    "score": "A number, higher is better, where answers are neither right nor wrong.",
}
NONE = "none"
CHOOSE = "choose"
DATASET = "Dataset"
DATASET_HELP = "Every row must be a sample of a dataset that is there; or the dataset is made from the file."
NEW_DATASET = "a new one, from this file"
DATASET_NAME = "Name of the dataset"
SPLIT = "Split"
TASK_KIND = "Task kind"
KIND_HELP = "Decides how rows are read and answers judged."
KIND_NAMES = {
    "multiple_choice": "multiple choice",
    "math": "math: a number",
    "summarization": "summarization",
    "classification": "classification",
    "instruction": "instruction: free text",
}
VERSION_NAME = "Name of the version"
VERSION_NAMES = "Names of the versions"
VERSION_NAMES_HELP = "With commas between them, in the order of the file; “-” takes the file's own names."
FOLLOWS = "It follows"
FOLLOWS_NONE = "no other version"
FOLLOWS_HELP = "The version that it is an update of: pages then suggest the two as old and new."
PREVIEW = "**What would be imported**"
COLUMN_VERSION, COLUMN_SAMPLES, COLUMN_RIGHT = "version", "samples", "right"
COLUMN_SCORE, COLUMN_KNOWN = "mean score", "state"
KNOWN = "is here already"
IS_NEW = "new"
RUNS_ALT = "One row for each run that would be imported, with its samples and how many are right"
FIRST_ALT = "The first rows as they would be imported"
NOT_JUDGED = (
    "None of these answers is right or wrong, and none has a score, so they could not be compared. Say which column "
    "holds that, or choose a task kind that judges: math compares numbers, classification labels, multiple choice the "
    "choices."
)
CANNOT_IMPORT = "It cannot be imported so:"


def larger(mebibytes: int) -> str:
    """Files beyond the limit of the browser."""
    return f"The browser takes files of up to {mebibytes:,} MiB. Larger ones, and many at once, by command:"


def what_it_is(format_name: str, rows: int | None, task: str, models: str) -> str:
    """What a file was found to be."""
    about = f", task {task}" if task else ""
    of = f", models {models}" if models else ""
    count = "" if rows is None else f": {rows:,} rows"
    return f"This is **{format_name}**{count}{about}{of}."


def large_file(mebibytes: float, *, whole: bool) -> str:
    """What is done with a large file."""
    looked = "" if whole else "Only its first rows were looked at here. "
    return (
        f"The file is large ({mebibytes:,.0f} MiB). {looked}The import reads and checks all of it in the background, "
        "and writes all of it or nothing."
    )


def columns_found(count: int, listed: str) -> str:
    """Columns of a table."""
    return f"{count:,} columns: {listed}"


def kind_by_file(kind: str) -> str:
    """The kind that a dataset from the file would have."""
    return f"by the file: {KIND_NAMES.get(kind, kind)}"


def right_of(right: int, judged: int, share: str) -> str:
    """How many are right."""
    return f"{right:,} of {judged:,} ({share})"


def first_rows(count: int) -> str:
    """Heading of the first rows."""
    return f"The first {count:,} rows"


def more_problems(count: int) -> str:
    """Problems that are not listed."""
    return f"and {count:,} more"


def imported(version: str, dataset: str, split: str, rows: int, summary: str, *, is_new: bool) -> str:
    """What became of one run."""
    what = f"{version} on {dataset} ({split}), {rows:,} samples: {summary}."
    return f"Imported {what}" if is_new else f"Was here already: {what}"


def made_dataset(dataset: str) -> str:
    """The dataset was made from the file."""
    return f"The dataset {dataset} was made from the file."


def second_needed(dataset: str) -> str:
    """Nothing to compare yet."""
    return f"Import what a second version answered on {dataset}, and the two can be compared."


def compare_these(old: str, new: str) -> str:
    """Button to the comparison."""
    return f"Compare {old} with {new}"


# Imports in the background.
JOBS = "**Imports in the background**"
CANCEL_IMPORT = "Cancel"
OPEN_JOB = "Log and history"
STARTING = "Starting …"
STATES = {
    "queued": "waits for a worker",
    "running": "runs",
    "cancelling": "is being cancelled",
    "succeeded": "done",
    "failed": "failed; nothing was written",
    "cancelled": "cancelled; nothing was written",
    "lost": "lost; nothing was written",
}


def job_line(title: str, state: str, when: str) -> str:
    """One import."""
    return f"{title} · {STATES[state]} · {when}"


def job_progress(stage: str, done: int, total: int) -> str:
    """How far an import is."""
    return f"{stage}: {done:,} of {total:,}" if total > 1 else f"{stage} …"


# Datasets.
DATASET_PURPOSE = (
    "**Add a dataset** from files with questions and right answers, one file a split. The field names of PIQA, "
    "HellaSwag, ARC, CommonsenseQA, GSM8K, DialogSum and SAMSum are known, and plain rows."
)
DATASET_FILES = "Files of the dataset"
DATASET_FILES_HELP = "JSONL, JSON, CSV or Parquet; one file a split."
DATASET_COMMAND = "python -m muscle_core datasets add NAME --task multiple_choice test=FILE.jsonl train=FILE.jsonl"
TEMPLATE = "Prompt template"
TEMPLATE_HELP = "What the model is given; {input} stands for the question."
SPLIT_TWICE = "Two files have the same split. Give each a split of its own, or put their rows into one file."
CANNOT_ADD = "It cannot be added so:"
ADD_DATASET = "Add the dataset"
DATASET_FIRST_ALT = "The first samples as they would be added"


def split_of(file: str) -> str:
    """Field for the split of a file."""
    return f"Split of {file}"


def dataset_preview(sizes: str) -> str:
    """What would be added."""
    return f"**What would be added**: {sizes} samples."


def dataset_added(name: str, rows: int) -> str:
    """A dataset was added."""
    return f"Added the dataset {name} with {rows:,} samples."


# Model versions.
VERSION_PURPOSE = "**Add a model version.** Nothing is copied; its files are checked and fingerprinted."
BASE = "Base"
BASE_HELP = "A folder in Hugging Face format or a .gguf file on this machine, or a hub id."
ADAPTER = "Adapter (optional)"
ADAPTER_HELP = "Folder of a PEFT LoRA adapter that was trained on that base."
REVISION = "Revision (optional)"
REVISION_HELP = "Of a hub id."
ROLE = "Role"
ROLE_HELP = "Its place in the lineage, for what pages suggest."
NAME_AND_BASE = "Give it a name and a base first."
CHECKING = "Checking and fingerprinting …"
ADD_VERSION = "Add the version"
VERSION_COMMAND = "python -m muscle_core models add NAME FOLDER_OR_GGUF_OR_HUB_ID --adapter ADAPTER_FOLDER"


def version_added(name: str, parameters: int) -> str:
    """A version was added."""
    return f"Added the model version {name} ({parameters:,} parameters)."


# Disk and deletion.
KINDS = {
    "version": "Model version",
    "dataset": "Dataset",
    "run": "Evaluation run",
    "training": "Training",
    "job": "Job that is over",
}
SHOW_DISK = "Show what takes room"
SHOW_DISK_HELP = "Looks at every file of the workspace."
DELETE_PURPOSE = "**Delete an object.** What depends on it is shown first."
KIND = "Kind"
OBJECT = "Object"
CHOOSE_OBJECT = "choose what to delete"
NO_OBJECT = "none yet"
DISK_ALT = "What takes room in the workspace, the largest first"
GOES_ALONG = "Goes with it"
DEPENDS = "Depends on it"
UNLINKED = "Stays, without its parent"
REPLICAS = "Stays, as a replica of it no longer"
USES = "Uses it"
IN_USE = "A job uses it; wait for its end or cancel it first."
DELETE = "Delete"


def disk_total(total: str) -> str:
    """All that the workspace takes."""
    return f"{total} in all. What nothing needs any more: python -m muscle_core workspace gc"


def would_go(target: str, size: str, paths: int) -> str:
    """What a deletion frees."""
    return f"{target}: {size} in {paths:,} files and folders would go."


def run_label(version: str, dataset: str, split: str, rows: int, made: str) -> str:
    """An evaluation run in the list."""
    return f"{version} on {dataset} ({split}, {rows:,} samples) · {made} UTC"


def version_line(name: str) -> str:
    """A version in a list."""
    return f"version {name!r}"


def sure(dependents: int) -> str:
    """The box to tick before a deletion."""
    more = f" and the {dependents:,} that depend on it" if dependents else ""
    return f"Yes, delete it{more}. This cannot be undone."


def deleted(target: str, size: str) -> str:
    """Something was deleted."""
    return f"Deleted {target}: {size}."
