# What `import cafa` gives, each imported on first use. The one list: type checkers read it, and so does __init__.py.

from .common.errors import CafaError as CafaError
from .common.errors import InputError as InputError
from .common.errors import WeightsError as WeightsError
from .data.manifest import build_manifest as build_manifest
from .data.manifest import read_manifest as read_manifest
from .data.prompts import PromptSettings as PromptSettings
from .data.prompts import make_prompts as make_prompts
from .data.prompts import read_prompts as read_prompts
from .features.encode import EncodeSettings as EncodeSettings
from .features.encode import encode_shard as encode_shard
from .features.store import FeatureFormat as FeatureFormat
from .features.store import FeatureStore as FeatureStore
from .features.store import write_features as write_features
from .features.text import write_text_features as write_text_features
from .generation.foley import FoleyPipeline as FoleyPipeline
from .generation.foley import FoleyResult as FoleyResult
from .generation.opening import open_generator as open_generator
from .generation.systems import AdapterSystem as AdapterSystem
from .media.sound import read_sound as read_sound
from .models.registry import open_adapter as open_adapter
from .models.registry import open_backbone as open_backbone
from .training.adapter import AdapterTraining as AdapterTraining
from .training.adapter import train_adapter as train_adapter
from .training.backbone import BackboneTraining as BackboneTraining
from .training.backbone import train_backbone as train_backbone
from .training.joint import JointTraining as JointTraining
from .training.joint import train_joint as train_joint
from .training.loop_settings import LoopSettings as LoopSettings

__version__: str
