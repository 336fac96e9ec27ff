"""Stand-in of `mmaudio.model.flow_matching`. Written for tests."""


class FlowMatching:
    def __init__(self, min_sigma=0.0, inference_mode="euler", num_steps=25):
        self.num_steps = num_steps

    def to_data(self, fn, x0):
        for step in range(self.num_steps):
            x0 = x0 + fn(step / self.num_steps, x0) / self.num_steps
        return x0
