"""Names of the measurements of a sound's level, without what measures them."""

#: The judge that measures levels, and its only column.
LEVELS = "levels"
#: What its column holds, in this order: LUFS, dBTP, and two shares from 0 to 1.
NAMES = ("integrated_loudness", "true_peak", "silence_share", "clipping_share")
#: What is measured of the judge itself, in LU: how far it is from the loudness that EBU Tech 3341 gives its first test
#: signal; and the most that Tech 3341 allows.
METER_ERROR, LARGEST_ERROR = "loudness_error_of_test_signal", 0.1
