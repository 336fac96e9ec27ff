"""What a run needs of the machine, as settings of `cafa check`. No rules here."""

#: megabytes of a clip on disk: as it is fetched, and normalised (picture and sound)
FETCHED_MB, NORMALISED_MB = 2.0, 2.7


def preflight_settings(wildcards):
    """What the run needs, as JSON."""
    published = {name: entry["fetch"] for name, entry in DATASETS.items() if entry["kind"] == "published"}
    packages = {"httpx": "lists and mirrors", "tenacity": "lists and mirrors"} if published else {}
    if any(entry.get("processes", 1) > 1 for entry in ADAPTERS.values()):
        packages["accelerate"] = "training in several processes"
    clips = sum(sum(entry["build"].get("expected", {}).values()) for entry in DATASETS.values() if "build" in entry)
    return json.dumps(
        {
            "device": config["device"],
            "results": RESULTS,
            "disk_bytes": round(clips * (FETCHED_MB + NORMALISED_MB) * 1e6),
            "paths": {**needed_files(), **needed_folders()},
            "fetch": published,
            "packages": packages,
        },
        sort_keys=True,
    )


def needed_files():
    """Files and folders of pretrained models; an address on the hub is none."""
    found = {}
    for name, entry in PRETRAINED["models"].items() if PRETRAINED else []:
        for key in ("file", "source", "text_source"):
            if key in entry and (key == "file" or is_place(entry[key])):
                found[entry[key]] = f"model {name}; config/weights.tsv says where it is published"
    return found


def is_place(source):
    """Whether a source is a place on this machine; otherwise it is an address on the hub."""
    weights = str(PRETRAINED["judges"].get("weights", "weights"))
    return os.path.isabs(source) or os.path.exists(source) or source.split(os.sep)[0] in (weights, os.curdir, os.pardir)


def needed_folders():
    """Folders of the judges' weights and of sounds of other systems, and lists that nothing fetches."""
    found = {PRETRAINED["judges"].get("weights", "weights"): "weights of the judges"} if PRETRAINED else {}
    found |= {entry["folder"]: f"system {name}" for name, entry in SYSTEMS.items() if entry["kind"] == "samples"}
    for name, entry in DATASETS.items():
        for part in lists_of(entry["build"]) if entry["kind"] == "published" else []:
            if "url" not in part:
                found[list_file(part)] = f"list of {name}"
    return found
