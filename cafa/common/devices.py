"""Whether a device can be used by the torch that is installed, said in one line before any work begins."""

import math
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cafa.common.errors import InputError

if TYPE_CHECKING:
    import torch

#: ways of torch to compute attention, as :class:`torch.nn.attention.SDPBackend` calls them
Attention = Literal["math", "flash_attention", "efficient_attention", "cudnn_attention"]
#: first number of a CUDA version -> first number of the oldest Linux driver that runs builds of it
OLDEST_DRIVER = {"12": 525, "13": 580}
#: builds for CUDA 12, for drivers from 525 on
OLDER_BUILDS = "https://download.pytorch.org/whl/cu126"


def nvidia_driver() -> str | None:
    """Version of the NVIDIA driver of this machine, such as ``550.54.14``; None if there is none."""
    if shutil.which("nvidia-smi") is None:
        return None
    words = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(words, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = answer.stdout.split()
    return lines[0] if answer.returncode == 0 and lines and lines[0][0].isdigit() else None


def why_no_cuda(build: str | None, version: str, driver: str | None) -> str:
    """What keeps torch from using a GPU, and what to do.

    Parameters
    ----------
    build : str or None
        CUDA version that torch was built for; None of a build for CPUs alone.
    version : str
        Version of torch.
    driver : str or None
        Version of the driver; None if there is none.
    """
    plain = version.partition("+")[0]
    if build is None:
        return f"torch {version} is a build without CUDA: pip install --force-reinstall torch=={plain}"
    if driver is None:
        return f"torch {version} is a build for CUDA {build}, and this machine has no NVIDIA driver: run where GPUs are"
    oldest, installed = OLDEST_DRIVER.get(build.split(".")[0], 0), int(driver.split(".")[0])
    if installed >= oldest:
        return (
            f"torch {version} (CUDA {build}) sees no GPU with driver {driver}: look at CUDA_VISIBLE_DEVICES, nvidia-smi"
        )
    found = f"torch {version} is a build for CUDA {build}, which needs driver {oldest}, and the driver is {driver}"
    if installed < OLDEST_DRIVER["12"]:
        return f"{found}: update the driver"
    return f"{found}: update it, or pip install --force-reinstall torch=={plain} --index-url {OLDER_BUILDS}"


def check_device(name: str) -> str:
    """Refuse a device that this torch cannot use; a kernel is run on it.

    Parameters
    ----------
    name : str
        ``cpu``, ``cuda``, ``cuda:1``, or another of torch's.

    Returns
    -------
    str
        The name.

    Raises
    ------
    InputError
        Why it cannot be used, and what to do.
    """
    if name == "cpu":
        return name
    import torch

    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"--device {name}: torch knows no such device; say cpu, cuda or cuda:1") from error
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise InputError(f"--device {name}: {why_no_cuda(torch.version.cuda, torch.__version__, nvidia_driver())}")
        if (count := torch.cuda.device_count()) <= (device.index or 0):
            raise InputError(f"--device {name}: {count} GPUs are visible, counted from 0")
    try:
        result = float(torch.ones(4, device=device).sum())
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        said = str(error).splitlines()[0]
        raise InputError(f"--device {name}: torch {torch.__version__} cannot run on it: {said}") from error
    if result != 4:
        raise InputError(f"--device {name}: a sum of four ones gave {result} there: the device is faulty")
    return name


def best_device() -> str:
    """The fastest device that this torch can use: ``cuda``, ``mps`` or ``cpu``."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def machine_threads() -> int:
    """Threads that this process may use: ``OMP_NUM_THREADS`` where it is set, else the processors it may run on."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    return processors()


def processors() -> int:
    """Processors that this process may use: those that it may run on, and no more than its cgroup has time on."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(here, cgroup_processors() or here)


def cgroup_processors(file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int | None:
    """Processors that the time of this process's cgroup makes, rounded up; None without such a limit.

    A container that is given the time of two processors sees all of its machine's.
    """
    try:
        quota, period = file.read_text(encoding="ascii").split()
        return max(1, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no cgroup of version 2, or `max`: no limit
        return None


def workers_of_machine() -> int:
    """Threads that decode ahead unless it is said: one for every processor that may be used, at most eight."""
    return min(processors(), 8)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use so many threads of the processor, and as many as before afterwards.

    Parameters
    ----------
    count : int
        At least 1. Results are equal bit for bit only at equal counts.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def exact_convolutions() -> None:
    """Have a GPU convolve float32 in float32 from now on, as it multiplies matrices and as a CPU does both.

    Torch's own default is TF32 in convolutions alone: decoders, encoders and judges would give other values there than
    on a CPU, from the fourth digit on, whatever the settings say.
    """
    import torch

    torch.backends.cudnn.allow_tf32 = False


@contextmanager
def arithmetic(tf32: bool = False, attention: Attention | None = None, *, convolutions: bool = False) -> Iterator[None]:
    """How torch computes in a block; afterwards it is as before.

    Parameters
    ----------
    tf32 : bool
        Let a GPU multiply float32 matrices in TF32, of 10 bits of mantissa instead of 23. Without effect elsewhere.
    attention : str, optional
        The one way of computing attention that may be used; torch raises RuntimeError where it cannot serve the device
        or the call (``flash_attention`` takes no mask, which TangoFlux has). None: torch chooses.
    convolutions : bool
        Let TF32 be used for convolutions too. Not where another thread convolves: this is said of the whole process.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    before, convolved = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = before or tf32
    torch.backends.cudnn.allow_tf32 = convolved or (tf32 and convolutions)
    try:
        with nullcontext() if attention is None else sdpa_kernel(getattr(SDPBackend, attention.upper())):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
        torch.backends.cudnn.allow_tf32 = convolved


def sent(tensor: "torch.Tensor", device: "torch.device") -> "torch.Tensor":
    """A tensor of the host on a device; a GPU gets it while it still works, which takes pinned memory.

    ``tensor.to(device)`` waits until the device has done all that it was given: one such copy in a step of a loop, and
    the device has nothing to do until the next operations come.
    """
    pinned = device.type == "cuda" and tensor.device.type == "cpu"
    return (tensor.pin_memory() if pinned else tensor).to(device, non_blocking=True)
