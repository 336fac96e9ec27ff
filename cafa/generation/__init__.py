"""From a clip and a caption to a sound: systems, their models, windows, samples, and the sound track of a video."""
