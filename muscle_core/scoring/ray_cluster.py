"""The Ray cluster that an evaluation or a training runs on, and whether it is large enough."""

from __future__ import annotations

from typing import Any

from muscle_core.errors import ConfigError, first_line


def connect(ray: Any, address: str | None, cpus: int, **settings: Any) -> None:
    """Connect this process to a cluster.

    Args:
        ray: the package.
        address: of an existing cluster ("auto" for the one of this machine); None starts one of this process's own.
        cpus: of a cluster that is started.
        settings: more arguments of `ray.init`.

    Raises:
        ConfigError: there is no cluster at the address, or none can be started.
    """
    try:
        if address is not None:
            ray.init(address=address, **settings)
            return
        # "local" keeps Ray from joining a cluster that merely happens to run here.
        ray.init(address="local", num_cpus=cpus, include_dashboard=False, **settings)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(f"no Ray cluster at {address!r}: {first_line(error)}") from error


def gpus_each(ray: Any, count: int, what: str, threads: int) -> int:
    """GPUs that each process gets; what finds no room would wait for ever, so that is refused here.

    Args:
        ray: the package, connected.
        count: number of processes.
        what: they are called, such as "workers".
        threads: CPUs of each.

    Raises:
        ConfigError: the cluster has too few CPUs or GPUs.
    """
    there = ray.cluster_resources()
    gpus = 1 if there.get("GPU", 0) else 0
    for kind, needed in (("CPU", count * threads), ("GPU", count * gpus)):
        if there.get(kind, 0) < needed:
            raise ConfigError(
                f"{count} {what} with {threads} threads need {needed} {kind}s, but the Ray cluster has "
                f"{there.get(kind, 0):.0f}. Use fewer {what} or threads."
            )
    return gpus
