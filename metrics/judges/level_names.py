"""Names of the measurements of a sound's level, without what measures them."""

#: The judge that measures levels, and its only column.
LEVELS = "levels"
#: What its column holds, in this order: LUFS, dBTP, and two shares from 0 to 1.
NAMES = ("integrated_loudness", "true_peak", "silence_share", "clipping_share")
