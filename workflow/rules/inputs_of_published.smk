"""Lists of published data sets, and what one data set takes from another. No rules here."""

INGESTED = "clips/{dataset}/{shard}.ledger.parquet"


def lists_of(build):
    """Every list that the settings of a builder name."""
    parts = [*build.get("lists", []), *build.get("labels", []), build.get("subset"), build.get("classes")]
    return [part for part in parts if part]


def list_name(part):
    """Name of a list's file, from its path or address."""
    return os.path.basename(os.path.normpath(part.get("path") or part["url"]))


def list_file(part):
    """Where a list is read from: the folder of lists, its own path where a file lies there, or where it is fetched to."""
    if config["lists"]["folder"]:
        return os.path.join(config["lists"]["folder"], list_name(part))
    if part.get("path") and ("url" not in part or os.path.exists(part["path"])):
        return part["path"]
    return f"{RESULTS}/lists/{list_name(part)}"


def fetched_lists():
    """Lists that are fetched: name -> what the configuration says of it. One name must not have two addresses."""
    found = {}
    for entry in DATASETS.values():
        for part in lists_of(entry["build"]) if entry["kind"] == "published" else []:
            if "url" in part and list_file(part) == f"{RESULTS}/lists/{list_name(part)}":
                first = found.setdefault(list_name(part), part)
                if first["url"] != part["url"] or first.get("sha256") != part.get("sha256"):
                    raise WorkflowError(
                        f"two lists are called {list_name(part)}: {first['url']} and {part['url']}; give one another `path`"
                    )
    return found


def names_of_lists():
    """Wildcard constraint: the lists that are fetched; matches nothing if there is none."""
    return "|".join(re.escape(name) for name in fetched_lists()) or "(?!)"


def list_settings(wildcards):
    """What the configuration says of a list, as JSON."""
    return json.dumps({**fetched_lists()[wildcards.list], "path": None}, sort_keys=True)


def published_lists(wildcards):
    """Files of the lists of a published data set."""
    return [list_file(part) for part in lists_of(DATASETS[wildcards.dataset]["build"])]


# Inputs of a data set that reuses another's are `ancient`: they must be there first, but when one of them is made again
# nothing follows from it, since what is taken is checked against the raw file and the settings anyway.


def reused_ledgers(wildcards):
    """Ledgers of ingest of the data sets whose normalised clips are taken where they are the same."""
    return [ancient(file) for name in reused_by(wildcards.dataset) for file in shards(INGESTED, name)(wildcards)]


def reused_clips(wildcards):
    """Folders of normalised clips of those data sets, as options."""
    return [word for name in reused_by(wildcards.dataset) for word in ("--reuse", f"{RESULTS}/clips/{name}")]
