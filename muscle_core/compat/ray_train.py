"""The same training in several processes of a Ray cluster, connected by Ray Train. Needs the package ray[train].

Each process runs `fit_compat_adapter`; transformers shares out every batch and averages the gradients. The first one
tells every step to the process that called, and goes on when that has answered: what stops or fences a training here
does so there too.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from muscle_core.compat import ranks
from muscle_core.compat.config import CompatConfig, share_of_batch
from muscle_core.errors import Cancelled, ConfigError, JobError, MuscleError, first_line
from muscle_core.models.spec import ModelSpec
from muscle_core.scoring.ray_cluster import connect, gpus_each
from muscle_core.tasks import Sample

_RESTARTS = 3  # of all processes together after the death of one; they go on from the last checkpoint
_LOOK_SECONDS = 0.5
_SAY_SECONDS = 30  # between two lines in the log about what is waited for
_QUIET_SECONDS = 300  # a step, or the loading of a model, may take long; then that is said as often
_PLACE_SECONDS = 10  # Ray Train waits so long for room, and then asks for it anew; until then it cannot be stopped
_SETTLE_SECONDS = 2  # a killed one may ask for room a moment longer
_END_SECONDS = 30  # what has told its end is left to leave by itself, and what is stopped has as long
_TIMEOUT_SECONDS = 24 * 3600  # one process may wait long for another: for the teachers, or a validation
_JOB_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # set in processes that Ray Jobs has started

_log = logging.getLogger(__name__)


class RayTraining:
    """Calls `fit_compat_adapter` in processes on a Ray cluster."""

    def __init__(
        self, workers: int, *, threads: int | None = None, address: str | None = None, start_within: float = 1800
    ) -> None:
        """Choose where and how wide.

        Args:
            workers: processes, each with a copy of the models and its share of every batch.
            threads: CPU threads of each; by default this process's, shared out.
            address: of an existing cluster; None for that of RAY_ADDRESS, else for one of this training's own.
            start_within: seconds in which the cluster must find room for the processes and start them.

        Raises:
            ConfigError: Ray is not installed, or there are no workers.
        """
        try:
            import ray
            import ray.train.torch
        except ImportError as error:
            raise ConfigError("training by Ray needs its packages: pip install -r requirements-ray.txt") from error
        if workers < 1:
            raise ConfigError(f"training by Ray needs at least 1 worker, got {workers}.")
        self._ray: Any = ray
        self.workers, self.threads, self.start_within = workers, threads, start_within
        self.address = address or os.environ.get("RAY_ADDRESS")

    def __call__(
        self,
        old: ModelSpec,
        new: ModelSpec,
        samples: Sequence[Sample],
        template: str,
        config: CompatConfig,
        out: Path,
        *,
        report: Any,
        report_teacher: Any,
        should_stop: Any,
        stores: Path,
        checkpoints: Path,
        checkpoint_saved: Any = lambda folder: None,
        validation: Any = None,
    ) -> Any:
        """Train; arguments and result are those of `fit_compat_adapter`, whose folders all processes must see.

        Raises:
            ConfigError: the cluster is not there or too small.
            JobError: the processes kept dying, or the cluster had no room for them in time.
            Cancelled: it was to stop before the first step.
            MuscleError: what the training itself refuses.
        """
        import torch

        share_of_batch(config.batch_size, self.workers)
        ray, ours = self._ray, not self._ray.is_initialized()
        threads = self.threads or max(1, torch.get_num_threads() // self.workers)
        if ours:
            self._connect(threads)
        scratch = checkpoints.with_name("ray")
        mailbox = running = None
        before, heard = self._places(), set[str]()
        try:
            gpus = gpus_each(ray, self.workers, "workers", threads)
            needs = {"CPU": self.workers * threads, **({"GPU": self.workers * gpus} if gpus else {})}
            mailbox = ray.remote(_Mailbox).options(num_cpus=0).remote()
            call = (old, new, samples, template, config, out)
            folders = {"stores": stores, "checkpoints": checkpoints, "validation": validation}
            settings = {"call": call, "options": folders, "mailbox": mailbox, "threads": threads}
            # Not here: a call of `fit` cannot be interrupted.
            running = (
                ray.remote(_fit)
                .options(num_cpus=0, runtime_env={"env_vars": self._variables()})
                .remote(settings, self.workers, gpus, str(scratch), math.ceil(self.start_within / _PLACE_SECONDS))
            )
            tell = {
                "begin": lambda nothing: None,
                "step": report,
                "teacher": lambda facts: report_teacher(*facts),
                "checkpoint": checkpoint_saved,
            }
            return self._attend(mailbox, running, tell, should_stop, needs, heard)
        finally:
            if running is not None:
                self._end(running, heard, before)
            if mailbox is not None:
                ray.kill(mailbox)
            if ours:
                ray.shutdown()
            shutil.rmtree(scratch, ignore_errors=True)

    def _connect(self, threads: int) -> None:
        root = str(Path(__file__).resolve().parents[2])
        variables = {"PYTHONPATH": root, "OMP_NUM_THREADS": str(threads)}
        # A job of Ray Jobs has its environment from there already.
        environment = None if _JOB_VARIABLE in os.environ else {"env_vars": variables}
        cpus = self.workers * threads
        connect(self._ray, self.address, cpus, runtime_env=environment, log_to_driver=True)

    def _variables(self) -> dict[str, str]:
        """Environment of Ray Train's own processes."""
        return {
            # Those that clean up ask by this which cluster they are in; without it they take what they find on the
            # machine, give up where that is another one, and the CPUs of this training stay taken.
            "RAY_ADDRESS": self._ray.get_runtime_context().gcs_address,
            "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(_PLACE_SECONDS),
            "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # until the end is noticed, too
        }

    def _attend(
        self,
        mailbox: Any,
        running: Any,
        tell: Mapping[str, Any],
        should_stop: Any,
        needs: Mapping[str, int],
        heard: set[str],
    ) -> Any:
        """Answer what the first process tells, until it has told the result; `heard` takes the kinds of that."""
        ray = self._ray
        last = said = started = time.monotonic()
        coming = mailbox.next.remote()
        while True:
            ready, _ = ray.wait([coming, running], num_returns=1, timeout=_LOOK_SECONDS)
            now = time.monotonic()
            if coming in ready:
                try:
                    number, what, facts = ray.get(coming)
                except ray.exceptions.RayError as error:
                    raise JobError(
                        f"the Ray cluster lost what the training told ({first_line(error)}). The last checkpoint is "
                        "kept; look at the cluster's memory, then resume."
                    ) from error
                heard.add(what)
                if what == "error":
                    raise facts
                if what == "result":
                    return facts
                last = said = now
                tell[what](facts)
                mailbox.answer.remote(number, should_stop() if what == "step" else None)
                coming = mailbox.next.remote()
            elif ready:
                try:
                    ray.get(running)
                    why = "they ended without a result"
                except ray.exceptions.RayError as error:
                    why = first_line(error)
                raise JobError(
                    f"the processes of the training on Ray died more than {_RESTARTS} times, or could not be started "
                    f"({why}). The last checkpoint is kept; look at the log and at the cluster's memory, then resume."
                )
            elif not heard and should_stop():
                raise Cancelled("the training was stopped while it waited for its processes on Ray.")
            elif not heard and now - started > self.start_within:
                raise JobError(
                    f"the training did not begin within {self.start_within:,.0f} s: {self._room(needs)}. Try again "
                    "when the Ray cluster has room, or use fewer workers or threads."
                )
            elif now - said > (_QUIET_SECONDS if heard else _SAY_SECONDS):
                said = now
                if heard:
                    _log.warning("no word from the training's processes on Ray for %.0f s", now - last)
                else:
                    _log.warning("waiting for the training to begin for %.0f s: %s", now - started, self._room(needs))

    def _room(self, needs: Mapping[str, int]) -> str:
        """What the processes need, and what the cluster has."""
        there, left = self._ray.cluster_resources(), self._ray.available_resources()
        need = " and ".join(f"{number:g} {what}s" for what, number in needs.items())
        free = " and ".join(f"{left.get(what, 0):g} of {there.get(what, 0):g} {what}s" for what in needs)
        return f"its processes need {need}, and free are {free} (what it has taken by now counts as taken)"

    def _end(self, running: Any, heard: set[str], before: set[str]) -> None:
        """Let the training leave the cluster, so that the next one finds its room free.

        Ray Train gives the room back when it ends in order. Where it is killed, that is left to a helper of Ray's which
        can fail, and what it still waits for to nobody; both would be kept for this process as long as it is connected.
        """
        ray = self._ray
        if heard & {"result", "error"} and self._gone(running):
            return
        if heard:
            ray.cancel(running, recursive=False)  # Ray Train ends its processes, and gives their room back
            if self._gone(running):
                self._free(before, 0)
                return
            _log.warning("the training on Ray did not end within %d s and is killed", _END_SECONDS)
        ray.cancel(running, force=True)
        self._gone(running)
        self._free(before, _SETTLE_SECONDS)

    def _gone(self, running: Any) -> bool:
        ended, _ = self._ray.wait([running], timeout=_END_SECONDS)
        return bool(ended)

    def _places(self) -> set[str]:
        """What this process's job has reserved or asked for on the cluster."""
        job = self._ray.get_runtime_context().get_job_id()  # every id ends with that of its job
        table = self._ray.util.placement_group_table()
        return {key for key, one in table.items() if key.endswith(job) and one["state"] != "REMOVED"}

    def _free(self, before: set[str], settle: float) -> None:
        """Give back what is reserved now and was not before, until nothing more has come for so many seconds."""
        from ray import PlacementGroupID
        from ray.util.placement_group import PlacementGroup, remove_placement_group

        quiet = time.monotonic()
        while True:
            left = self._places() - before
            for place in left:
                remove_placement_group(PlacementGroup(PlacementGroupID(bytes.fromhex(place))))
            now = time.monotonic()
            if left:
                quiet = now
            elif now - quiet >= settle:
                return
            time.sleep(0.2)


class _Mailbox:
    """Carries what the processes tell to the one that called, and its answers back; runs in an actor."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[tuple[int, str, Any]] = asyncio.Queue()
        self.answers: dict[int, asyncio.Future[Any]] = {}

    async def ask(self, what: str, facts: Any) -> Any:
        number = len(self.answers)
        self.answers[number] = asyncio.get_running_loop().create_future()
        await self.told.put((number, what, facts))
        answer = await self.answers[number]
        self.answers[number] = None  # type: ignore[assignment]
        return answer

    async def tell(self, what: str, facts: Any) -> None:
        """The last word of a process."""
        await self.told.put((-1, what, facts))

    async def next(self) -> tuple[int, str, Any]:
        return await self.told.get()

    async def answer(self, number: int, answer: Any) -> None:
        self.answers[number].set_result(answer)


def _fit(settings: Mapping[str, Any], workers: int, gpus: int, scratch: str, tries: int) -> None:
    """Start the processes, asking so many times for room, and wait for their end."""
    from ray import train
    from ray.train.torch import TorchConfig, TorchTrainer

    failures: Any = train.FailureConfig  # mypy knows only that of Ray Train's first version
    resources = {"CPU": settings["threads"], **({"GPU": gpus} if gpus else {})}
    TorchTrainer(
        _train,
        train_loop_config=dict(settings),
        torch_config=TorchConfig(timeout_s=_TIMEOUT_SECONDS),
        scaling_config=train.ScalingConfig(num_workers=workers, use_gpu=gpus > 0, resources_per_worker=resources),
        run_config=train.RunConfig(
            name="training",
            storage_path=scratch,
            failure_config=failures(max_failures=_RESTARTS, controller_failure_limit=tries),
        ),
    ).fit()


def _train(settings: Mapping[str, Any]) -> None:
    """One process of the training."""
    import ray
    import torch

    from muscle_core.compat.fit import fit_compat_adapter

    torch.set_num_threads(settings["threads"])
    mailbox, call, options = settings["mailbox"], settings["call"], settings["options"]
    stop = False

    def report(step: dict[str, float]) -> None:
        nonlocal stop
        stop = ray.get(mailbox.ask.remote("step", step))

    def report_teacher(*facts: Any) -> None:
        ray.get(mailbox.ask.remote("teacher", facts))

    def checkpoint_saved(folder: Path) -> None:
        ray.get(mailbox.ask.remote("checkpoint", folder))

    try:
        if ranks.is_first():
            ray.get(mailbox.ask.remote("begin", None))
        _check_shared(call[-1])
        if ranks.is_first():
            result = fit_compat_adapter(
                *call,
                **options,
                checkpoint_saved=checkpoint_saved,
                report=report,
                report_teacher=report_teacher,
                should_stop=lambda: stop,
            )
            ray.get(mailbox.tell.remote("result", result))
        else:
            fit_compat_adapter(*call, **options)
    except MuscleError as error:
        ray.get(mailbox.tell.remote("error", error))  # not raised: what is refused here would be refused again


def _check_shared(out: Path) -> None:
    """All processes must see the folder that is written to, for checkpoints and teacher stores too.

    Raises:
        ConfigError: one of them does not.
    """
    note = out.with_name(out.name + ".shared")
    if ranks.is_first():
        out.parent.mkdir(parents=True, exist_ok=True)
        note.touch()
    ranks.wait_for_all()
    missing = ranks.sums([0.0 if note.exists() else 1.0])[0]
    if ranks.is_first():
        note.unlink()
    if missing:
        raise ConfigError(
            f"{missing:.0f} of {ranks.count():,} workers do not see the folder {out.parent}. Put the workspace "
            "(MUSCLE_HOME) on storage that all nodes of the Ray cluster share, at the same path."
        )
