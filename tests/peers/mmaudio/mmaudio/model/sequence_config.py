"""Stand-in of `mmaudio.model.sequence_config`. Written for tests."""

import dataclasses
import math


@dataclasses.dataclass
class SequenceConfig:
    duration: float
    sampling_rate: int

    @property
    def latent_seq_len(self):
        return math.ceil(self.duration * self.sampling_rate / 1024)

    @property
    def clip_seq_len(self):
        return int(self.duration * 8)

    @property
    def sync_seq_len(self):
        return int(((self.duration * 25 - 16) // 8 + 1) * 8)


CONFIG_44K = SequenceConfig(8.0, 44100)
