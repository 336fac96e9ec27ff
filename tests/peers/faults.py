"""What goes wrong in a stand-in: by the clip's name or the prompt, as the variable STANDIN_FAULTS says.

The file lies at the root of each stand-in checkout. Faults: `crash` (the process is killed), `hang`, `error`, `short`
(half of the length), `long` (two seconds more), `missing` (no file).
"""

import json
import os
import time


def fault(video, prompt):
    """Name of the fault of a clip or prompt; a crash and a hang happen here."""
    name = os.path.splitext(os.path.basename(os.path.realpath(video)))[0]
    faults = json.loads(os.environ.get("STANDIN_FAULTS", "{}"))
    found = faults.get(name) or faults.get(prompt) or ""
    if found == "crash":
        print("stand-in: segmentation fault, as it were", flush=True)
        os.kill(os.getpid(), 9)
    if found == "hang":
        time.sleep(3600)
    if found == "error":
        raise RuntimeError(f"CUDA error of {name}")
    if wait := float(os.environ.get("STANDIN_SECONDS", "0")):
        time.sleep(wait)
    return found


def factor(found):
    """Length of a sound, as a part of what was asked."""
    return {"short": 0.5, "long": 1.25}.get(found, 1.0)
