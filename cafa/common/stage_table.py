"""The stages, and the function in which each one's work is done: the one table of it.

Every command of the command line is here: with the stage whose results it makes, or among those that make none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Stage:
    """Where the code behind some results begins.

    Parameters
    ----------
    functions : mapping of str to str
        Command -> its stage function, ``module:function``: the function, what it uses of its module, and whatever
        these import, directly or not, belong to the stage. So do the command's options with their defaults.
    modules : tuple of str
        Modules that a script of the workflow begins with, where results are made by no command.
    without : mapping of str to str
        Module or package that a function imports for another stage of the same command -> why it is not reached here.
    entries : mapping of str to tuple of str
        Name of a registry -> entries of it that the stage can use. Entries are modules named by strings
        (``"module:attribute"``); those of a registry that is not named here all count.
    weights_table : bool
        Whether the package's table of weights counts, whose digests decide what may be registered. What is made with
        registered weights depends on their card instead.
    """

    functions: Mapping[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    without: Mapping[str, str] = field(default_factory=dict)
    entries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    weights_table: bool = False


def _made_by(command: str, function: str, **more: Mapping[str, str] | bool) -> Stage:
    return Stage({command: function}, **more)  # type: ignore[arg-type]


_ENCODE = "cafa.features.pretrained:encode_pretrained"
_CAPTIONS = "cafa.features.captions:encode_captions"
_FROM_FILES = "cafa.training.from_files"
_SAMPLES = "cafa.generation.samples:make_system_samples"
_EMBED = {
    "embed reference": "metrics.embedding.from_files:embed_clips",
    "embed text": "metrics.embedding.from_files:embed_captions",
    "embed samples": "metrics.embedding.from_files:embed_sounds",
}
#: One command makes several kinds of features, and each is a stage of its own: a change of one encoder must not cost
#: the features of the others, which are days of a GPU. Every module that is left out here is reached by another stage
#: of the same command (a test holds this).
_OF_SOUND = {
    "cafa.features.from_sound": "latents are of the stage encode_latents",
    "cafa.models.interface": "a backbone, which makes latents",
    "cafa.models.releases": "a backbone, which makes latents",
    "cafa.models.stable_audio": "a backbone, which makes latents",
    "cafa.models.tangoflux": "a backbone, which makes latents",
    "cafa.models.encoders.oobleck": "the autoencoder of backbones",
}
_SYNCHFORMER = {"cafa.models.encoders.synchformer": "features av_clip are of the stage encode_av_clip"}
_CLIP = {"cafa.models.encoders.clip": "features clip are of the stage encode_clip"}
_NO_VIDEO = {
    "cafa.models.encoders.synchformer": "captions are encoded without video",
    "cafa.models.encoders.clip": "captions are encoded without video",
}
_NO_MODEL = {"cafa.generation.generated_sounds": "systems of these kinds have no model"}
#: what runs in other environments is named by the entries of a registry of files, which no import leads to
_DRIVERS = tuple(
    f"cafa.baselines.drivers.{name}" for name in ("serve", "mmaudio_driver", "foleycrafter_driver", "rewas_driver")
)
_NO_EXTERNAL = {"cafa.generation.external": "systems of other people's code are of the stage samples_of_external"}
_NO_WORLD = {"cafa.world": "only systems that render sounds from event times use the rendered world"}

STAGES: dict[str, Stage] = {
    "plan_world": _made_by("world plan", "cafa.world.dataset:plan_dataset"),
    "render_world": _made_by("world render", "cafa.world.dataset:render_dataset"),
    "manifest": _made_by("manifest", "cafa.data.manifest_file:make_manifest"),
    "dataset": _made_by("dataset build", "cafa.data.published_datasets:make_dataset"),
    "vggsounder": _made_by("dataset vggsounder", "cafa.data.vggsounder:choose_by_vggsounder"),
    "ingest": _made_by("ingest", "cafa.data.ingest_clips:ingest_clips"),
    "features_media": _made_by("features media", "cafa.features.media:encode_media"),
    "features_latents": _made_by("features latents", "cafa.features.latents:encode_latents"),
    "features_av_clip": _made_by("features av-clip", "cafa.features.av_clip:encode_av_clip"),
    "features_clip": _made_by("features clip", "cafa.features.clip:encode_clip"),
    "correspondence": _made_by("features correspondence", "cafa.features.correspondence:filter_clips"),
    "filter_table": _made_by("world filter-table", "cafa.world.filter_table:write_filter_table"),
    "features_text": _made_by(
        "features text",
        _CAPTIONS,
        without={
            "cafa.features.text_states": "a registered backbone's states are of the stage encode_text",
            "cafa.models.registry": "the miniature's text encoder is not registered",
        },
    ),
    "encode_latents": _made_by(
        "features encode",
        _ENCODE,
        without={"cafa.features.from_video": "the stages encode_av_clip and encode_clip", **_SYNCHFORMER, **_CLIP},
    ),
    "encode_av_clip": _made_by("features encode", _ENCODE, without={**_OF_SOUND, **_CLIP}),
    "encode_clip": _made_by("features encode", _ENCODE, without={**_OF_SOUND, **_SYNCHFORMER}),
    "encode_text": _made_by("features text", _CAPTIONS, without=_NO_VIDEO),
    "prompts": _made_by("prompts", "cafa.data.prompt_set:write_prompt_set"),
    "samples": _made_by("samples make", _SAMPLES, without={**_NO_WORLD, **_NO_EXTERNAL}),
    "samples_of_events": _made_by("samples make", _SAMPLES, without={**_NO_MODEL, **_NO_EXTERNAL}),
    "samples_of_files": _made_by("samples make", _SAMPLES, without={**_NO_MODEL, **_NO_WORLD, **_NO_EXTERNAL}),
    "samples_of_external": Stage({"samples make": _SAMPLES}, _DRIVERS, without={**_NO_MODEL, **_NO_WORLD}),
    "train_autoencoder": _made_by("train autoencoder", f"{_FROM_FILES}:train_autoencoder_from_files"),
    "train_av_clip": _made_by("train av-clip", f"{_FROM_FILES}:train_av_clip_from_files"),
    "train_clip": _made_by("train clip", f"{_FROM_FILES}:train_clip_from_files"),
    "train_backbone": _made_by("train backbone", f"{_FROM_FILES}:train_backbone_from_files"),
    "train_adapter": _made_by("train adapter", "cafa.training.job:train_adapter_from_files"),
    "train_joint": _made_by("train joint", f"{_FROM_FILES}:train_joint_from_files"),
    "training_table": _made_by("train table", "cafa.training.cost_table:write_training_table"),
    "train_judge": _made_by("judges train", "metrics.judges.training.from_files:train_judge_from_files"),
    "check_judges": _made_by("judges check", "metrics.judge_quality.check_trained:check_trained_judges"),
    "judge_canary": _made_by("judges canary", "metrics.judge_quality.check_registered:check_registered_judges"),
    "register_model": _made_by("models register", "cafa.models.registering:register_pretrained", weights_table=True),
    "register_judge": _made_by("judges register", "metrics.judges.registering:register_judge", weights_table=True),
    "embed": Stage(_EMBED, without={"metrics.embedding.published": "pretrained judges are of embed_pretrained"}),
    "embed_pretrained": Stage(
        _EMBED,
        without={
            "metrics.embedding.miniature": "judges that were trained here are of the stage embed",
            "metrics.judges.trained": "judges that were trained here are of the stage embed",
        },
    ),
    "score": _made_by("score", "metrics.tables.scores_file:write_scores"),
    "table": _made_by("table", "metrics.tables.write:write_table"),
    "figure": _made_by("figure", "metrics.tables.figure:draw_trade_off"),
    "spectrograms": _made_by("spectrograms", "metrics.tables.spectrograms:draw_spectrograms_of_files"),
    "conflict": _made_by("conflict", "metrics.tables.conflict:draw_conflict"),
    "examples": _made_by("examples", "metrics.examples.from_files:make_examples_page"),
    "evaluate": _made_by("evaluate", "metrics.evaluation.from_files:evaluate_folders"),
    "parity_answers": Stage(modules=("metrics.parity.weights", "metrics.parity.inputs")),
    "parity": _made_by("parity packages", "metrics.parity.report:report_packages"),
}


@dataclass(frozen=True)
class Aside:
    """A command that makes no results of a stage.

    Parameters
    ----------
    function : str
        Its stage function, ``module:function``.
    why : str
        Why nothing is made again when its code changes.
    """

    function: str
    why: str


_READS = "it prints what it finds, and writes nothing that another stage reads"
NO_RESULTS = {
    "check": Aside("cafa.preflight.check:check_machine", "it looks at the machine before a run, every time anew"),
    "baselines list": Aside("cafa.generation.published_commands:list_baselines", _READS),
    "baselines get": Aside(
        "cafa.generation.published_commands:get_baselines",
        "the bytes are the publishers'; their SHA-256 is compared",
    ),
    "baselines check": Aside("cafa.generation.published_commands:check_baseline", _READS),
    "dataset list": Aside(
        "cafa.data.published_lists:fetch_list", "the bytes are the publisher's; their SHA-256 is compared"
    ),
    "fetch": Aside("cafa.data.fetch.fetch_clips:fetch_clips", "the bytes are the publishers'; `ingest` compares them"),
    "compare": Aside("metrics.results.compare:compare_folders", _READS),
    "export": Aside("metrics.results.export:export_results", "a person asks for the bundle; no stage reads it"),
    "features verify": Aside("cafa.features.verify_files:check_features", _READS),
    "generate": Aside(
        "cafa.generation.generate_files:generate_files",
        "a person asks for every file; its name and its note say of what",
    ),
    "serve": Aside("cafa.service.run:serve", "visitors ask for every file; the record of a job says of what"),
    "demo": Aside("cafa.service.run:demo", "files that a person asks for, as `serve`"),
    "ledger show": Aside("cafa.common.ledger_text:ledgers_as_text", _READS),
    "ledger retry": Aside("cafa.data.fetch.retry:retry_clips", "it marks clips that the next fetch asks for again"),
    "models convert": Aside("cafa.models.convert_file:convert_checkpoint", "registration compares the files' SHA-256"),
    "parity generator": Aside("cafa.parity.report:report_generator", _READS),
    "parity evaluators": Aside("metrics.parity.report:report_evaluators", _READS),
    "rows": Aside("cafa.preflight.rows:print_rows", _READS),
    "study build": Aside("metrics.study.commands:build_from_files", "a study is made once, and its key is kept"),
    "study serve": Aside("metrics.study.commands:serve", "it appends what raters hand in"),
    "study platforms": Aside("metrics.study.commands:platform_files", _READS),
    "study results": Aside("metrics.study.commands:results_from_files", "a person asks for the table"),
    "study plan": Aside("metrics.study.commands:plan", _READS),
    "weights list": Aside("cafa.weights.commands:list_weights", _READS),
    "weights get": Aside("cafa.weights.commands:get_weights", "registration compares the files' SHA-256"),
    "weights verify": Aside("cafa.weights.commands:verify_weights", _READS),
    "weights where": Aside("cafa.weights.commands:where_weights", _READS),
    "weights remove": Aside("cafa.weights.commands:remove_weights", "it deletes files, which registration then misses"),
    "store show": Aside("metrics.embedding.store_files:show_store", _READS),
    "store prune": Aside("metrics.embedding.store_files:prune_store", "what it removes is made again"),
    "stages list": Aside("cafa.common.stage_report:listed_stages", _READS),
    "stages check": Aside("cafa.common.stage_report:require_recorded", _READS),
    "stages record": Aside("cafa.common.stage_report:record_stages", "it writes the record of the code itself"),
}


def function_of(command: str) -> str:
    """Stage function of a command, ``module:function``.

    Raises
    ------
    KeyError
        If there is no such command.
    """
    if command in NO_RESULTS:
        return NO_RESULTS[command].function
    return next(stage.functions[command] for stage in STAGES.values() if command in stage.functions)
