"""`cafa` whose training steps last a moment longer and are written down by the first process, for kill_training.py."""

import os
import time

import torch

from cafa.cli import main

_step = torch.optim.AdamW.step


def _noted(self: torch.optim.AdamW, *args: object, **options: object) -> object:
    time.sleep(0.05)
    result = _step(self, *args, **options)
    if os.environ.get("RANK", "0") == "0":
        number = next(iter(self.state.values()))["step"]
        with open(os.environ["STEPS_FILE"], "a") as file:
            file.write(f"{int(number) - 1}\n")
    return result


torch.optim.AdamW.step = _noted  # type: ignore[method-assign]

if __name__ == "__main__":
    main()
