"""Rows of tables, which of them can be made, and the systems that are shown to people. No rules here."""


def dataset_of(table):
    """Data set that a table is made from."""
    return config["tables"][table].get("dataset", config["evaluate"])


@cache
def judged_seconds():
    """Length that the judges hear unless a table says otherwise."""
    return config["embed"]["pretrained"].get("seconds", 8.0) if PRETRAINED else config["window"]["seconds"]


@cache
def seconds_of(table):
    """Length of the sounds that a table is of."""
    return config["tables"][table].get("seconds") or judged_seconds()


@cache
def cut_of(table):
    """Behind the data set's name in paths of what judges made of another length than the usual one: `.5s`."""
    return "" if seconds_of(table) == judged_seconds() else f".{seconds_of(table):g}s"


@cache
def rows_of(table):
    """Rows of a table as the configuration has them, in order."""
    entry = config["tables"][table]
    return [name for block in entry.get("blocks") or [entry] for name in block.get("systems", [])]


@cache
def why_left_out(name):
    """Why a row is left out of tables; empty if it is not."""
    return parse_system(config["systems"][name]).left_out


@cache
def rows_here(table):
    """Rows of a table that are not left out."""
    return [name for name in rows_of(table) if not why_left_out(name)]


@cache
def why_no_table(table):
    """Why a table is not made; empty if it is."""
    chosen = (config["tables"][table].get("clips") or {}).get("of_system")
    if chosen and chosen in config["systems"] and why_left_out(chosen):
        return f"it takes the rows of {chosen}: {why_left_out(chosen)}"
    return "" if rows_here(table) else "none of its rows can be made"


@cache
def parts_of_row(name):
    """Systems that a row of a table is made from: itself, or one for each of several takes."""
    return list(parts_of_system(name, config["systems"][name]))


@cache
def sounding_of(table):
    """Systems of which a table needs the sounds: those of its rows, and the one whose rows it takes."""
    chosen = (config["tables"][table].get("clips") or {}).get("of_system")
    names = [part for name in rows_here(table) for part in parts_of_row(name)]
    return list(dict.fromkeys([*names, *([chosen] if chosen else [])]))


@cache
def tables_here():
    """Tables that are made."""
    return [table for table in config["tables"] if not why_no_table(table)]


@cache
def tables_by_vggsounder():
    """Tables whose clips are chosen by VGGSounder's labels."""
    entries = {table: config["tables"][table] for table in tables_here()}
    return {table: entry["vggsounder"] for table, entry in entries.items() if "vggsounder" in entry}


def annotations_of(table):
    """VGGSounder's list, of a table whose clips it chooses."""
    return tables_by_vggsounder()[table]["annotations"]


#: Keys of the configuration that show samples to people, beside the tables.
SHOWN = ("examples", "spectrograms", "conflict", "study")


def dataset_shown(key):
    """Data set whose samples one of :data:`SHOWN` shows: that of its table, its own, or the one that is evaluated."""
    entry = config[key]
    return dataset_of(entry["table"]) if "table" in entry else entry.get("dataset", config["evaluate"])


def shown_systems(key):
    """Systems that one of :data:`SHOWN` shows: those that it names, or all of its table."""
    entry = config[key]
    if key == "study":
        return [entry["system"], *entry["opponents"]]
    names = entry.get("systems") or [parts_of_row(name)[0] for name in rows_of(entry["table"])]
    return [name for name in names if name not in config["systems"] or not why_left_out(name)]
